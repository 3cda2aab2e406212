"""Chains over several devices are those of one device, and so are rows that devices share."""

import pathlib

import keras
import numpy as np
import pytest

from tests._devices import found_on_devices

SCRIPT = pathlib.Path(__file__).parent / "_over_devices_processes.py"
# One process of four devices for all of it: its programs take a minute to compile.
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def found(tmp_path_factory, project_root):
    if keras.config.backend() != "jax":
        pytest.skip("chains run on one device there")
    return found_on_devices(SCRIPT, project_root, tmp_path_factory.mktemp("devices"))


def test_the_fewest_devices_are_taken_on_which_no_one_has_more_chains(found):
    """ "chains devices most": devices by chains, by rows, and the chains of each."""
    assert found["layouts"] == {
        "4 1 4": None,
        "4 2 4": [2, 1, 2],
        "4 3 4": [2, 1, 2],
        "3 2 4": [2, 1, 2],
        "5 4 4": [3, 1, 2],
        "1 4 1": None,
        "1 4 3": [1, 3, 1],
        "2 4 4": [2, 2, 1],
        "no distribution": None,
    }


def test_trees_of_different_devices_do_not_wait_for_each_other(found):
    """They meet once a transition, for the step size, in a branch that only warmup takes."""
    assert found["collectives"] == ["while cond all_gather"]


# By how much draws of order 1 may differ. The noise is the same to the bit; a device with fewer
# chains may round its sums otherwise, and does where it has a part of the rows.
@pytest.mark.parametrize(
    ("case", "tolerance"),
    [
        ("NUTS", 2e-4),
        ("NUTS, rows apart", 2e-4),
        ("NUTS, chains and rows apart", 2e-4),
        ("HMC, a chain too few", 2e-4),
        ("HMC, resumed", 2e-4),
        ("HMC, checkpoint", 2e-4),
        ("SGLD", 1e-5),
        ("SGLD, checkpoint", 1e-5),
        ("SGHMC, a chain too few", 1e-5),
        ("SGHMC, resumed", 1e-5),
    ],
)
def test_draws_are_those_of_one_device(found, case, tolerance):
    one, *others = found[case]
    draws = np.array(one["draws"])
    assert draws.std(axis=1).min() > 0.01
    assert len(draws) == 1 or np.ptp(draws.mean(axis=1), axis=0).min() > 1e-3  # chains differ
    for several in others:
        assert several.keys() == one.keys()
        np.testing.assert_allclose(several["draws"], draws, atol=tolerance)
        np.testing.assert_allclose(
            several["state position"], one["state position"], atol=10 * tolerance
        )
        for same in ("state seed", "stat n_steps", "stat diverging"):
            assert several.get(same) == one.get(same), same
