"""Members of ensembles: which noise is shared, and which is not."""

import keras
import numpy as np
import pytest
from keras import ops
from scipy import stats

import keras_priors as kp

UNIT = kp.likelihoods.Normal(1.0)


def dense(units, name, **kwargs):
    return keras.layers.Dense(
        units, use_bias=False, kernel_regularizer=kp.NormalPrior(0.0, 1.0), name=name, **kwargs
    )


def test_a_member_of_a_convex_problem_is_the_map():
    """By one step of Newton's method: the curvature of the mean loss is (N + 1 / s^2) / N."""
    y = np.array([[1.0], [2.0], [3.0], [-0.5]], "float32")
    model = keras.Sequential([keras.Input((1,)), dense(1, "mean")])
    method = kp.inference.DeepEnsemble(
        1, epochs=2, batch_size=4, optimizer=keras.optimizers.SGD(4.0 / 5.0)
    )
    posterior = method.fit(model, np.ones((4, 1), "float32"), y, UNIT, seed=0, verbose=0)
    found = posterior.draws()["mean/kernel"].item()
    assert found == pytest.approx(y.sum() / (4.0 + 1.0), abs=1e-5)


@pytest.mark.parametrize("start", ["initializer", "prior"])
def test_each_weight_of_each_member_begins_at_a_draw_of_its_own(start):
    names = ["first", "second", "third"]
    layers = [dense(30, n, kernel_initializer="random_normal") for n in names]
    model = keras.Sequential([keras.Input((30,)), *layers])
    method = kp.inference.DeepEnsemble(
        2, epochs=1, batch_size=2, optimizer=keras.optimizers.SGD(1e-12), start=start
    )
    x = np.ones((2, 30), "float32")
    posterior = method.fit(model, x, x, kp.likelihoods.Normal(1e3), seed=0, verbose=0)
    starts = np.array([posterior.draws()[f"{n}/kernel"] for n in names]).reshape(6, -1)
    scale = 1.0 if start == "prior" else 0.05
    for each in starts:
        assert stats.kstest(each, stats.norm(0.0, scale).cdf).pvalue > 1e-3
    apart = np.corrcoef(starts) - np.eye(6)
    assert np.abs(apart).max() < 4 / 900**0.5


def test_each_member_drops_by_itself_and_again_alike():
    """The masks are all in which two members differ: their weights begin at zeros."""
    model = keras.Sequential(
        [keras.Input((20,)), keras.layers.Dropout(0.5, seed=3), dense(1, "line")]
    )
    model.layers[-1].kernel_initializer = keras.initializers.Zeros()
    method = kp.inference.DeepEnsemble(
        2, epochs=1, batch_size=4, optimizer=keras.optimizers.SGD(0.1)
    )
    x, y = np.ones((4, 20), "float32"), np.ones((4, 1), "float32")
    draws = [
        method.fit(model, x, y, UNIT, seed=0, verbose=0).draws()["line/kernel"] for _ in range(2)
    ]
    # One step from zeros: 0.1 times the mean over rows of the masks, 0 or 2.
    np.testing.assert_allclose(draws[0] / 0.05, np.round(draws[0] / 0.05), atol=1e-3)
    assert np.any(np.abs(draws[0][0] - draws[0][1]) > 0.01)
    np.testing.assert_allclose(draws[0], draws[1], atol=1e-6)


def test_each_epoch_of_a_member_has_an_order_of_its_own():
    """By steps of size 1 the mean is the last target of the last epoch, so far as it is seen."""
    y = np.arange(32, dtype="float32")[:, None]
    model = keras.Sequential(
        [
            keras.Input((1,)),
            keras.layers.Dense(
                1, use_bias=False, kernel_regularizer=kp.NormalPrior(0.0, 1e3), name="mean"
            ),
        ]
    )
    last = []
    for epochs in (1, 2):
        method = kp.inference.DeepEnsemble(
            2, epochs=epochs, batch_size=1, optimizer=keras.optimizers.SGD(1.0)
        )
        posterior = method.fit(model, np.ones_like(y), y, UNIT, seed=0, verbose=0)
        last.append(posterior.draws()["mean/kernel"].reshape(2))
    np.testing.assert_allclose(last, np.round(last), atol=1e-2)
    for member in np.round(last).T:
        assert len(set(member)) > 1
    assert np.any(np.round(last)[:, 0] != np.round(last)[:, 1])


def test_anchors_and_noise_of_weighted_targets_give_the_exact_posterior():
    """200 means in one model: each member has as many draws of one known posterior."""
    members, units, loc, scale, noise = 2, 200, 3.0, 0.5, 0.8
    y = np.array([[0.4], [-1.0], [2.0]], "float32")
    weight = np.array([9.0, 0.25, 0.0], "float32")
    layer = keras.layers.Dense(
        units, use_bias=False, kernel_regularizer=kp.NormalPrior(loc, scale), name="means"
    )
    model = keras.Sequential([keras.Input((1,)), layer])
    posterior = kp.inference.RandomizedMAP(members).fit(
        model,
        np.ones((3, 1), "float32"),
        np.repeat(y, units, axis=1),
        kp.likelihoods.Normal(noise),
        sample_weight=weight,
        seed=0,
        verbose=0,
    )
    draws, count = posterior.draws()["means/kernel"], members * units
    precision = weight.sum() / noise**2 + scale**-2
    mean = (weight @ y[:, 0] / noise**2 + loc / scale**2) / precision
    assert abs(draws.mean() - mean) < 4 / (precision * count) ** 0.5
    assert abs(draws.std() * precision**0.5 - 1.0) < 4 / (2 * count) ** 0.5


def test_each_dropout_layer_has_masks_of_its_own():
    """A product of two masks is 4 in a quarter of the places; of one mask, in half of them."""
    model = keras.Sequential(
        [
            keras.Input((8,)),
            keras.layers.Dropout(0.5),
            keras.layers.Dropout(0.5),
            dense(1, "sum", kernel_initializer="ones"),
        ]
    )
    x = np.ones((1, 8), "float32")
    posterior = kp.inference.MCDropout().fit(model, x, x[:, :1], UNIT)
    draws = ops.convert_to_numpy(posterior.predict(x, num_samples=400, seed=0).draws).reshape(-1)
    counts = np.bincount(np.round(draws / 4.0).astype(int), minlength=9)
    expected = 400 * stats.binom(8, 0.25).pmf(np.arange(9))
    pooled = np.array([[*part[:4], part[4:].sum()] for part in (counts, expected)])
    assert stats.chisquare(*pooled).pvalue > 1e-3
