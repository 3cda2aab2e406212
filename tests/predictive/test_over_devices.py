"""On JAX rows of predictions lie on all devices of Keras' distribution, and come out the same."""

import pathlib

import keras
import numpy as np
import pytest

from tests._devices import found_on_devices

SCRIPT = pathlib.Path(__file__).parent / "_over_devices_processes.py"
# One process of four devices for all of it.
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def found(tmp_path_factory, project_root):
    if keras.config.backend() != "jax":
        pytest.skip("rows are predicted on one device there")
    return found_on_devices(SCRIPT, project_root, tmp_path_factory.mktemp("devices"))


@pytest.mark.parametrize("place", ["2 devices", "3 devices", "4 devices", "model over devices"])
def test_predictions_are_those_of_one_device(found, place):
    one, several = found["one"], found[place]
    assert len(one) == 12 and one.keys() == several.keys()
    for name, draws in one.items():
        assert np.std(draws) > 0.01 or name == "a row"
        # A fit sums over rows in another order there, as a MAP and the weights around it show.
        fitted = name.startswith(("MAP", "Laplace"))
        np.testing.assert_allclose(
            several[name], draws, atol=1e-3 if fitted else 2e-6, err_msg=name
        )


def test_each_device_has_its_rows_and_tells_the_others_nothing(found):
    laid = found["laid"]
    assert laid["devices"] == 4
    assert laid["rows"] == [16] * 4
    assert laid["outputs"] == [[3, 16, 1]] * 4
    assert laid["told"] == []
