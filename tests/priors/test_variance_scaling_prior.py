"""The variance of a weight by its fans, in every family."""

import numpy as np
import pytest
from scipy import stats

import keras_priors as kp

FANS = {"fan_in": 3 * 2 * 4, "fan_out": 3 * 2 * 5, "fan_avg": 3 * 2 * 4.5}


@pytest.mark.parametrize("mode", FANS)
@pytest.mark.parametrize("family", ["normal", "laplace", "student_t"])
def test_a_convolutions_field_is_in_its_fans(mode, family):
    w = np.random.default_rng(0).normal(size=(3, 2, 4, 5)).astype("float32")
    sd = np.sqrt(1.7 / FANS[mode])
    exact = {
        "normal": stats.norm(0.0, sd),
        "laplace": stats.laplace(0.0, sd / np.sqrt(2.0)),
        "student_t": stats.t(5.0, 0.0, sd * np.sqrt(3.0 / 5.0)),
    }[family]
    assert exact.std() == pytest.approx(sd)
    df = 5.0 if family == "student_t" else None
    prior = kp.VarianceScalingPrior(1.7, mode, family, df)
    assert prior.stddev(w.shape) == pytest.approx(sd)
    assert float(prior.log_prob(w)) == pytest.approx(exact.logpdf(w).sum(), rel=1e-5)
