"""A word where members of an ensemble were still on their way to a mode."""

import warnings

import keras
import numpy as np
import pytest

import keras_priors as kp
from keras_priors.inference.ensembles.check_trained import check_trained, trend_of_losses
from keras_priors.inference.ensembles.member_trainer import _parts

ROWS = 40
X = np.random.default_rng(0).standard_normal((ROWS, 1)).astype("float32")
Y = (X * 1.5 + 0.1).astype("float32")
LIKELIHOOD = kp.likelihoods.Normal(0.5)


def line():
    prior = {"kernel_regularizer": kp.NormalPrior(0, 1), "bias_regularizer": kp.NormalPrior(0, 1)}
    return keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, **prior)])


def words_of(rate, **options):
    method = kp.inference.DeepEnsemble(
        2, epochs=30, batch_size=10, optimizer=keras.optimizers.SGD(rate)
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        method.fit(line(), X, Y, LIKELIHOOD, seed=0, verbose=0, **options)
    return [str(w.message) for w in caught if "still on their way" in str(w.message)]


def test_what_a_loss_would_gain_is_that_of_its_line():
    falling = [5.0 - 0.01 * k for k in range(12)]
    gain, error, lost = trend_of_losses(falling, 40)
    assert gain == pytest.approx(40 * 0.01 * 12) and error == pytest.approx(0.0, abs=1e-6)
    assert lost == 0.0
    # The first two thirds have no part in it, and a loss that stands gains nothing.
    assert trend_of_losses([9.0] * 8 + falling[8:], 40)[0] == pytest.approx(gain)
    assert trend_of_losses([5.0] * 12, 40)[0] == pytest.approx(0.0, abs=1e-9)
    assert tuple(trend_of_losses(falling[:11], 40)) == (0.0, np.inf, 0.0)


def test_what_was_lost_is_counted_from_the_best_part():
    stands = [3.0, 1.1, 1.0, 1.1, 1.0, 1.1]
    assert trend_of_losses([*stands, 2.5], 40)[2] == pytest.approx(60.0)
    assert trend_of_losses([*stands, 1.3], 40)[2] == 0.0  # as parts differ anyway
    assert tuple(trend_of_losses([], 40)) == (0.0, np.inf, 0.0)


@pytest.mark.parametrize(
    ("trend", "said"),
    [
        ((4.1, 0.1, 0.0), "still on their way"),
        ((3.9, 0.1, 0.0), None),
        ((4.1, 1.4, 0.0), None),
        ((0.0, np.inf, 0.0), None),
        ((-5.0, 0.1, 9.9), None),
        ((-5.0, 0.1, 10.1), "far below where they had been"),
        ((4.1, 0.1, 10.1), "far below where they had been"),
    ],
)
def test_nats_for_each_row_are_what_counts(trend, said):
    """A tenth to be gained, a quarter lost."""
    log_posterior = kp.inference.LogPosterior(line(), X, Y, LIKELIHOOD)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        check_trained([np.array(trend), np.zeros(3)], log_posterior, 30)
    found = [str(w.message) for w in caught]
    assert len(found) == (said is not None)
    for each in found:
        assert each.startswith("1 of 2 members of DeepEnsemble") and said in each


def test_members_that_left_their_mode_say_so():
    """At a rate above 2 over the curvature a step leads away from the mode."""
    curvature = float(np.mean(X**2)) / 0.5**2 + 1.0 / ROWS
    method = kp.inference.DeepEnsemble(
        2, epochs=20, batch_size=ROWS, optimizer=keras.optimizers.SGD(2.3 / curvature)
    )
    with pytest.warns(UserWarning, match="2 of 2 members .* far below where they had been"):
        method.fit(line(), X, Y, LIKELIHOOD, seed=0, verbose=0)


def test_members_far_from_their_mode_say_so_and_others_do_not():
    (said,) = words_of(1e-3)
    assert "of 2 members of DeepEnsemble" in said and "in 30 epochs more" in said
    assert not words_of(3e-2)


def test_rows_that_are_held_back_judge_instead():
    assert not words_of(1e-3, validation_split=0.25)
    assert not words_of(1e-3, validation_data=(X, Y))
    assert words_of(1e-3, callbacks=[keras.callbacks.TerminateOnNaN()])


@pytest.mark.parametrize(
    ("epochs", "steps", "parts"),
    [(1000, 2, 16), (143, 14, 13), (50, 15, 15), (67, 67, 67), (223, 9, 223), (997, 1, 997)],
)
def test_steps_go_into_equal_parts(epochs, steps, parts):
    assert _parts(epochs, steps) == parts


def test_a_trend_is_known_of_every_number_of_rows_by_default():
    for rows in range(1, 20_000):
        epochs, size = kp.inference.DeepEnsemble()._plan(rows)
        assert _parts(epochs, -(-rows // size)) >= 12
