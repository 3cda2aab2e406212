"""Mean-field steps whose rows are dealt to groups with draws of their own."""

import keras
import numpy as np
import pytest
from scipy import stats

import keras_priors as kp
from keras_priors import backend
from keras_priors.inference.variational.normal_family import NormalFamily
from keras_priors.inference.variational.variational_inference import _all_rows, _Order

N, D, NOISE, SPREAD = 26, 2, 0.5, 1.5


def test_the_elbo_of_a_step_is_that_of_each_group_with_its_draws():
    """The estimate and its gradient in float64: N / n times the rows of a group, at its draws."""
    random = np.random.default_rng(0)
    x = random.normal(size=(N, D)).astype("float32")
    y = random.normal(size=(N, 1)).astype("float32")
    layer = keras.layers.Dense(1, use_bias=False, kernel_regularizer=kp.NormalPrior(0, SPREAD))
    model = keras.Sequential([keras.Input((D,)), layer])
    log_posterior = kp.inference.LogPosterior(model, x, y, kp.likelihoods.Normal(NOISE))
    method = kp.inference.MeanField(num_samples=2, initial_scale=0.3)
    groups = method._groups(N, D)
    assert groups == 3
    family = NormalFamily(method._family(D), D, log_posterior.flatten())
    # A step of this "optimizer" shows the slopes of the loss as the new values.
    step = method._step_of(log_posterior, family, _Slopes(), N / 24, groups)
    values = [keras.ops.convert_to_tensor(v) for v in family.variables]
    units = [keras.ops.ones_like(v) for v in values]
    fixed, data = log_posterior.outputs.fixed(), _all_rows(log_posterior)
    seed, rows = backend.as_seed(5), random.permutation(N)[:24]
    element = seed, keras.ops.convert_to_tensor(rows), keras.ops.convert_to_tensor(1.0)
    state = (values, [], keras.ops.zeros(()))
    (slope, _), _, elbo = backend.compile_function(step)(state, fixed, data, units, element)

    eps = keras.ops.convert_to_numpy(family.noise(seed, 6)).astype("float64")
    m = log_posterior.flatten().astype("float64")
    estimates, slopes = [], []
    for k, e in enumerate(eps):
        z, own = m + 0.3 * e, rows[8 * (k % 3) :][:8]
        left = y[own, 0] - x[own] @ z
        density = N / 8 * stats.norm(0, NOISE).logpdf(left).sum()
        density += stats.norm(0, SPREAD).logpdf(z).sum()
        estimates.append(density - stats.norm(m, 0.3).logpdf(z).sum())
        # The path derivative in the mean: that of log p - log q at the draw.
        slopes.append(N / 8 * left @ x[own] / NOISE**2 - z / SPREAD**2 + e / 0.3)
    np.testing.assert_allclose(float(elbo), np.mean(estimates), rtol=1e-5)
    found = keras.ops.convert_to_numpy(slope)
    np.testing.assert_allclose(found, -np.mean(slopes, axis=0), rtol=1e-4, atol=1e-3)


class _Slopes:
    variables = ()

    def stateless_apply(self, moments, slopes, values):
        # v + rate (m - v) of the step is the slope for m = slope.
        return slopes, moments


@pytest.mark.parametrize("rows, batch", [(24, 24), (26, 24), (100, 32)])
def test_rows_are_dealt_anew_in_each_step(rows, batch):
    each = rows // batch
    order = _Order(rows, batch, 0, always=True).take(40 * each)
    for k in range(40):
        part = order[k * each : (k + 1) * each]
        assert len(np.unique(part)) == each * batch
    assert len(np.unique(order[:, 0])) > min(rows, 40) // 3
    # Those left out in one pass are in another.
    assert len(np.unique(order)) == rows


def test_there_are_fewer_groups_of_few_rows_and_for_many_weights():
    groups = kp.inference.MeanField()._groups
    assert [groups(n, 10) for n in (3, 15, 16, 64, 512)] == [1, 1, 2, 8, 8]
    assert [groups(512, size) for size in (2**22, 2**23, 10**9)] == [8, 4, 1]
    # Without noise where q is the posterior, which groups of rows would bring back.
    assert kp.inference.FullRank()._groups(512, 10) == 1
