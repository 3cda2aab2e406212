import keras
import numpy as np
import pytest
from keras import layers, ops
from scipy import stats

import keras_priors as kp
from tests.models._models import MODELS, NAMES

KEYS = {
    *("weight", "shape", "prior", "posterior", "kl", "kl_is_exact", "snr", "log_prior"),
    "trainable",
    "temperature",
}


def array(tensor):
    return ops.convert_to_numpy(tensor).astype("float64")


def mixed():
    return keras.Sequential(
        [
            keras.Input((3,)),
            layers.Dense(4, kernel_regularizer=kp.NormalPrior(1, 2, num_data=9), name="plain"),
            kp.VariationalDense(2, bias_posterior="delta", seed=0, name="bayes"),
        ]
    )


def quiet(model):
    lines = []
    return kp.summary(model, print_fn=lines.append), lines


def test_the_numbers():
    model = mixed()
    kernel, bias, mean_field, delta = rows = quiet(model)[0]
    assert [set(row) for row in rows] == [KEYS] * 4
    assert [row["weight"] for row in rows] == list(kp.get_priors(model))
    assert [row["shape"] for row in rows] == [(3, 4), (4,), (4, 2), (2,)]
    expected = stats.norm.logpdf(array(model.get_layer("plain").kernel), 1, 2).sum()
    assert kernel["log_prior"] == pytest.approx(expected, rel=1e-5)
    assert kernel["prior"] == "NormalPrior(loc=1.0, scale=2.0)"
    assert {kernel[key] for key in ("posterior", "kl", "snr")} == {None}
    assert {bias[key] for key in KEYS - {"weight", "shape", "trainable"}} == {None}
    q = model.get_layer("bayes").kernel_posterior
    mean, sd = array(q.mean()), array(q.stddev())
    assert mean_field["posterior"] == "MeanFieldNormal"
    kl = np.sum(-np.log(sd) + 0.5 * (sd**2 + mean**2 - 1.0))
    assert mean_field["kl"] == pytest.approx(kl, rel=1e-5)
    assert mean_field["kl_is_exact"] is True
    assert mean_field["snr"] == pytest.approx(np.median(abs(mean) / sd), rel=1e-5)
    assert mean_field["log_prior"] == pytest.approx(stats.norm.logpdf(mean).sum(), rel=1e-5)
    # A point estimate at zero: its KL is the penalty, and it has no noise to be compared with.
    assert delta["posterior"] == "Delta"
    assert delta["kl"] == pytest.approx(np.log(2 * np.pi), rel=1e-5)
    assert delta["snr"] is None


def test_the_prior_of_a_skew_posterior_is_taken_at_its_mean():
    layer = kp.VariationalDense(
        2,
        use_bias=False,
        kernel_prior=kp.GammaPrior(2.0, 1.5),
        kernel_posterior=kp.posteriors.LogNormal(0.8),
    )
    (row,), _ = quiet(keras.Sequential([keras.Input((3,)), layer]))
    median = np.exp(array(layer.kernel_posterior.loc))
    gamma = stats.gamma(2, scale=1 / 1.5)
    assert row["log_prior"] == pytest.approx(
        gamma.logpdf(median * np.exp(0.8**2 / 2)).sum(), rel=1e-4
    )


def test_the_table():
    rows, lines = quiet(mixed())
    text = "\n".join(lines)
    for name in ("weight", "shape", "prior", "posterior", "KL (nats)", "SNR", "log prior (nats)"):
        assert name in lines[2]
    for row, line in zip(rows, lines[4:8], strict=True):
        cells = line.split("  ")
        assert cells[0] == row["weight"]
        shown = [cell.strip() for cell in cells if cell.strip()][-3:]
        for cell, key in zip(shown, ("kl", "snr", "log_prior"), strict=True):
            if row[key] is None:
                assert cell == "-"
            else:
                assert float(cell.replace(",", "")) == pytest.approx(row[key], rel=1e-3)
    kl, log_prior = [float(cell) for cell in lines[-2].split()[-2:]]
    assert lines[-2].startswith("sum")
    known = [[row[key] for row in rows if row[key] is not None] for key in ("kl", "log_prior")]
    assert kl == pytest.approx(sum(known[0]), rel=1e-3)
    assert log_prior == pytest.approx(sum(known[1]), rel=1e-3)
    assert "\n" not in "".join(lines)
    assert text.isascii()


def test_frozen_layers_are_shown_marked_and_not_summed():
    model = mixed()
    before = quiet(model)[0]
    model.get_layer("plain").trainable = False
    rows, lines = quiet(model)
    assert [row["trainable"] for row in rows] == [False, False, True, True]
    assert [{**row, "trainable": True} for row in rows] == before
    shown = [line.split("  ")[0] for line in lines[4:8]]
    frozen = ["plain/kernel (frozen)", "plain/bias (frozen)"]
    assert shown == [*frozen, "bayes/kernel", "bayes/bias"]
    _, log_prior = [float(cell) for cell in lines[-2].split()[-2:]]
    assert log_prior == pytest.approx(sum(row["log_prior"] for row in rows[2:]), rel=1e-3)


def test_the_temperatures_told_are_those_of_what_is_trained():
    cold, plain = (kp.VariationalDense(2) for _ in range(2))
    cold.temperature = 0.5
    model = keras.Sequential([keras.Input((3,)), cold, plain], name="net")
    assert quiet(model)[1][0] == 'Priors of "net" at the temperature 0.5, 1'
    cold.trainable = False
    assert quiet(model)[1][0] == 'Priors of "net"'


def test_it_prints_by_itself(capsys):
    model = mixed()
    kp.summary(model)
    assert capsys.readouterr().out.splitlines() == quiet(model)[1]


@pytest.mark.slow
def test_a_kl_by_draws_is_marked_repeats_and_leaves_seeds_alone():
    layer = kp.VariationalDense(2, kernel_posterior="full", kernel_prior=kp.CauchyPrior(0, 1))
    model = keras.Sequential([keras.Input((3,)), layer])
    if layer.kernel_posterior.kl_is_exact(layer.kernel_prior):
        pytest.fail("the case is not one without a closed form any more")
    state = array(layer.seed_generator.state)
    first, lines = quiet(model)
    assert first == quiet(model)[0]
    np.testing.assert_array_equal(array(layer.seed_generator.state), state)
    assert first[0]["kl_is_exact"] is False
    assert any(cell.startswith("~") for cell in lines[4].split())
    draws = [float(array(layer.kernel_posterior.kl(layer.kernel_prior, seed=k))) for k in range(20)]
    error = np.std(draws) / np.sqrt(20)
    assert abs(first[0]["kl"] - np.mean(draws)) < 4 * np.sqrt(2) * error


@pytest.mark.parametrize("name", NAMES)
def test_every_kind_of_model(name):
    make, count = MODELS[name]
    model = make()
    if name != "embedding":
        kp.set_priors(model, {"*": kp.LaplacePrior(0, 1)})
    rows, lines = quiet(model)
    assert len(rows) == count
    assert len(lines) == count + 7
    assert all(np.isfinite(row["log_prior"]) for row in rows if row["log_prior"] is not None)


def test_arrays_are_not_written_out():
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2, name="out")])
    kp.set_priors(model, {"kernel": kp.NormalPrior(0, np.ones((3, 2)))})
    assert quiet(model)[0][0]["prior"] == "NormalPrior(loc=0.0, scale=array(3, 2))"


def test_a_model_without_priors():
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2)])
    rows, lines = quiet(model)
    assert [row["prior"] for row in rows] == [None, None]
    assert lines[-2].split() == ["sum", "-", "-"]
