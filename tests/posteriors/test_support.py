"""A posterior that leaves the support of its prior is refused, with the families that fit."""

import numpy as np
import pytest

from keras_priors import priors
from keras_priors.priors import Prior
from tests.posteriors._calculus import as_numpy
from tests.posteriors._families import FAMILIES, NORMAL, make


class Bounded(Prior):
    """A prior of the tests: uniform on an interval."""

    def __init__(self, low, high):
        super().__init__()
        self.bounds = (low, high)

    @property
    def support(self):
        return self.bounds

    def _distribution(self, shape, dtype, broadcast):
        raise AssertionError("a refused prior is not evaluated")


POSITIVE = [priors.LogNormalPrior(), Bounded(0.0, np.inf), Bounded(-1.0, np.inf)]
INTERVALS = [
    Bounded(0.0, 1.0),
    Bounded(-np.inf, 0.0),
    Bounded(1.0, np.inf),
    Bounded(np.zeros((3, 2)), np.array([1.0, np.inf])),
]


@pytest.mark.parametrize("prior", POSITIVE, ids=lambda p: f"{type(p).__name__}{p.support}")
@pytest.mark.parametrize("family", NORMAL)
def test_positive_prior_under_a_normal_posterior(family, prior):
    posterior, _ = make(family)
    with pytest.raises(ValueError, match=r"LogNormal .* or Delta") as error:
        posterior.kl(prior)
    assert type(posterior).__name__ in str(error.value)
    assert type(prior).__name__ in str(error.value)


@pytest.mark.parametrize("prior", INTERVALS, ids=lambda p: str(p.support))
@pytest.mark.parametrize("family", [*NORMAL, "log_normal"])
def test_interval_prior_leaves_only_the_point(family, prior):
    posterior, _ = make(family)
    with pytest.raises(ValueError, match="Delta") as error:
        posterior.kl(prior)
    advice = str(error.value).split("Use a posterior family that fits:")[1]
    assert "LogNormal" not in advice


@pytest.mark.parametrize("family", FAMILIES)
def test_a_prior_on_the_real_line_fits_every_family(family):
    posterior, _ = make(family)
    assert np.isfinite(float(as_numpy(posterior.kl(priors.NormalPrior(), seed=0))))


def test_a_positive_prior_fits_a_log_normal_and_a_point():
    posterior, _ = make("log_normal")
    assert np.isfinite(float(as_numpy(posterior.kl(priors.LogNormalPrior()))))
    point, variables = make("delta")
    variables["loc"].assign(np.full((3, 2), 0.5, "float32"))
    assert np.isfinite(float(as_numpy(point.kl(priors.LogNormalPrior()))))
