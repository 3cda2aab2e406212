"""`MultiWorkerMirroredStrategy` in two processes: by a loop of one's own, as Keras has no `fit`."""

import numpy as np
import pytest

from tests.layers._processes import run_processes


@pytest.fixture(scope="module")
def found(tmp_path_factory, project_root):
    folder = tmp_path_factory.mktemp("processes")
    return run_processes("tensorflow", folder, project_root)


@pytest.mark.slow
@pytest.mark.parametrize("case", ["penalized", "delta", "mean_field"])
def test_two_processes_end_where_one_does(found, case):
    """Penalties and KLs count once; a shared draw is one for all."""
    one, *both = (found[rank][case] for rank in ("one", "0", "1"))
    assert both[0] == both[1]
    np.testing.assert_allclose(both[0]["losses"], one["losses"], rtol=1e-5)
    flat = (np.concatenate(each["weights"]) for each in (both[0], one))
    np.testing.assert_allclose(*flat, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_keras_fits_no_model_over_two_processes(found):
    """The day it does, docs/guide/devices.md may say so."""
    assert found["one"]["plainly"] == ""
    assert "PerReplica" in found["0"]["plainly"]
