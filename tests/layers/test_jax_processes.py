"""Two JAX processes that train one model end where one process does."""

import numpy as np
import pytest

from tests.layers._processes import run_processes


@pytest.fixture(scope="module")
def found(tmp_path_factory, project_root):
    folder = tmp_path_factory.mktemp("processes")
    return run_processes(
        "jax", folder, project_root, {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    )


def flat(value):
    """All numbers, in order."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [number for part in value for number in flat(part)]
    return [value]


@pytest.mark.slow
@pytest.mark.parametrize(
    "case",
    ["delta", "penalized", "mean_field", "local", "flipout", "accumulated", "monitor", "annealing",
     "ivon", "swag", "collect", "predicted", "saved", "unset", "mode"],
)  # fmt: skip
def test_two_processes_end_where_one_does(found, case):
    """Losses, KLs and weights; the noise of a step is that of the whole batch, cut in two."""
    one, *both = (flat(found[rank][case]) for rank in ("one", "0", "1"))
    assert both[0] == both[1]
    assert len(one) == len(both[0]) > 0 and np.all(np.isfinite(one))
    np.testing.assert_allclose(both[0], one, rtol=2e-5, atol=1e-5)


@pytest.mark.slow
def test_the_pattern_of_a_kernel_cuts_its_posterior_and_slots(found):
    one, cut = found["one"]["mean_field"], found["one"]["parallel"]
    np.testing.assert_allclose(flat(cut["losses"]), flat(one["losses"]), rtol=1e-5)
    np.testing.assert_allclose(flat(cut["weights"]), flat(one["weights"]), rtol=1e-5, atol=1e-6)
    kernels = {path: shape for path, shape in cut["local"].items() if "kernel" in path}
    assert len(kernels) == 2, cut["local"]
    assert all(shape == [3, 1] for shape in kernels.values()), cut["local"]
    assert cut["slots"] == [[3, 1]] * 4
