import keras
import numpy as np
import pytest
from sklearn.metrics import brier_score_loss

from keras_priors.metrics import brier_score, expected_calibration_error

RNG = np.random.default_rng(0)
PROBABILITIES = RNG.dirichlet(np.ones(4), size=200)
LABELS = RNG.integers(0, 4, 200)


def test_brier_score_is_that_of_scikit_learn():
    expected = brier_score_loss(LABELS, PROBABILITIES, labels=range(4), scale_by_half=False)
    np.testing.assert_allclose(brier_score(LABELS, PROBABILITIES), expected, rtol=1e-10)
    binary = RNG.random(50)
    expected = brier_score_loss(LABELS[:50] > 1, binary, scale_by_half=False)
    np.testing.assert_allclose(brier_score(LABELS[:50] > 1, binary), expected, rtol=1e-10)


def test_brier_score_by_hand():
    assert brier_score([1], [[0.25, 0.75]]) == 2 * 0.25**2
    assert brier_score([0, 1], [[1.0, 0.0], [1.0, 0.0]]) == 1.0


def test_expected_calibration_error_by_hand():
    # Bins of width 1/2: confidences 0.6 (right) and 0.8 (wrong) share one, with accuracy 1/2.
    p = [[0.6, 0.4], [0.8, 0.2]]
    np.testing.assert_allclose(expected_calibration_error([0, 1], p, n_bins=2), 0.2)
    np.testing.assert_allclose(expected_calibration_error([0, 1], p, n_bins=10), (0.4 + 0.8) / 2)


def test_expected_calibration_error_by_bins_one_at_a_time():
    confidence, right = PROBABILITIES.max(axis=1), PROBABILITIES.argmax(axis=1) == LABELS
    total = 0.0
    for b in range(15):
        inside = (confidence > b / 15) & (confidence <= (b + 1) / 15)
        if inside.any():
            total += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    np.testing.assert_allclose(expected_calibration_error(LABELS, PROBABILITIES), total)


def test_certain_and_predictions():
    certain = np.eye(4)[(LABELS + 1) % 4]
    assert expected_calibration_error(LABELS, certain) == 1.0
    assert expected_calibration_error(LABELS, np.eye(4)[LABELS]) == 0.0


@pytest.mark.parametrize("metric", [brier_score, expected_calibration_error])
def test_tensors_are_taken_and_what_is_refused(metric):
    tensor = keras.ops.convert_to_tensor(PROBABILITIES.astype("float32"))
    np.testing.assert_allclose(
        metric(keras.ops.convert_to_tensor(LABELS), tensor),
        metric(LABELS, PROBABILITIES),
        rtol=1e-4,
    )
    np.testing.assert_equal(metric(LABELS[:, None], PROBABILITIES), metric(LABELS, PROBABILITIES))
    for labels, probabilities, match in (
        (LABELS, np.log(PROBABILITIES), "softmax"),
        (LABELS, 2 * PROBABILITIES, "softmax"),
        (LABELS[:5], PROBABILITIES, "one label for each"),
        (np.eye(4)[LABELS], PROBABILITIES, "argmax"),
        (LABELS + 1, PROBABILITIES, "from 0 to 3"),
        (LABELS + 0.5, PROBABILITIES, "integer labels"),
        (LABELS[:0], PROBABILITIES[:0], "shape"),
    ):
        with pytest.raises(ValueError, match=match):
            metric(labels, probabilities)


def test_bad_number_of_bins():
    with pytest.raises(ValueError, match="n_bins"):
        expected_calibration_error(LABELS, PROBABILITIES, n_bins=0)
