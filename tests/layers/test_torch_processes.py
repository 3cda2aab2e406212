"""`DistributedDataParallel` around a Keras model, in two processes."""

import numpy as np
import pytest

from tests.layers._processes import run_processes


@pytest.fixture(scope="module")
def found(tmp_path_factory, project_root):
    folder = tmp_path_factory.mktemp("processes")
    return run_processes("torch", folder, project_root)


def weights(each):
    return np.concatenate(each["weights"])


@pytest.mark.slow
@pytest.mark.parametrize("case", ["delta", "penalized", "mean_field"])
def test_two_processes_end_where_one_does(found, case):
    """Penalties and KLs count once. A shared draw is one for all: the seeds are the first's."""
    one, *both = (found[rank][case] for rank in ("one", "0", "1"))
    assert both[0] == both[1]
    np.testing.assert_allclose(both[0]["losses"], one["losses"], rtol=1e-5)
    np.testing.assert_allclose(weights(both[0]), weights(one), rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_seeds_of_their_own_give_each_process_its_noise(found):
    first, second = found["0"]["own"], found["1"]["own"]
    np.testing.assert_array_equal(weights(first), weights(second))
    assert np.abs(np.subtract(first["drawn"], second["drawn"])).max() > 0.01
    assert found["0"]["again"] == first and found["1"]["again"] == second
    shared = weights(found["0"]["mean_field"])
    assert np.abs(weights(first) - shared).max() > 1e-3
    # Of rows too; and the loss goes where that of one process does.
    flipped = found["0"]["flipout"], found["1"]["flipout"]
    np.testing.assert_array_equal(*map(weights, flipped))
    for case in ("own", "flipout"):
        assert found["0"][case]["losses"] == found["1"][case]["losses"]
        end, alone = (np.mean(found[rank][case]["losses"][-4:]) for rank in ("0", "one"))
        assert abs(end - alone) < 0.3
