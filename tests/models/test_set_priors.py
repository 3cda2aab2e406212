import random
import warnings

import keras
import numpy as np
import pytest
from keras import layers, ops
from scipy import stats

import keras_priors as kp
from keras_priors.layers import VariationalDense
from tests.models._models import (
    MODELS,
    NAMES,
    NUM_DATA,
    POSTERIORS,
    Bare,
    described,
    functional,
    nested,
    normal,
    saved,
    sequential,
    variational,
)


def to_float(tensor):
    return float(ops.convert_to_numpy(tensor))


def array(tensor):
    return ops.convert_to_numpy(tensor)


def trained_penalties(model):
    return sum(to_float(v.regularizer(v)) for v in model.trainable_weights if v.regularizer)


@pytest.mark.parametrize("name", NAMES)
def test_one_prior_for_all_weights_is_there_after_loading(name, tmp_path):
    make, count = MODELS[name]
    model = make()
    weights = [array(v) for v in model.trainable_weights]
    matched = kp.set_priors(model, normal())
    assert len(matched) == count
    assert described(matched) == dict.fromkeys(matched, repr(normal()))
    # Each has its own.
    assert len({id(prior) for prior in matched.values()}) == count
    if name not in POSTERIORS:
        expected = -sum(stats.norm.logpdf(w, 0.0, 0.5).sum() for w in weights) / NUM_DATA
        assert len(weights) == count
        assert sum(map(to_float, model.losses)) == pytest.approx(expected, rel=1e-5)
    loaded = saved(model, tmp_path)
    assert described(kp.get_priors(loaded)) == described(kp.get_priors(model)) == described(matched)
    assert trained_penalties(loaded) == pytest.approx(trained_penalties(model), rel=1e-5)


# Pattern, and how many weights it matches in which model.
PATTERNS = [
    ("sequential", "*", 4),
    ("sequential", "kernel", 2),
    ("sequential", "*/kernel", 2),
    ("sequential", "hidden/*", 2),
    ("sequential", "hidden/b?as", 1),
    ("sequential", layers.Dense, 4),
    ("functional", "hidden/kernel", 1),
    ("functional", lambda layer, variable: layer.name == "out", 2),
    ("functional", lambda layer, variable: len(variable.shape) == 2, 2),
    ("nested", "left/*", 2),
    ("nested", "right/hidden/kernel", 1),
    ("nested", "hidden/kernel", 2),
    ("nested", keras.Sequential, 2),
    ("nested", keras.Model, 4),
    ("subclassed", "stack/hidden/kernel", 1),
    ("subclassed", "out/*", 2),
    ("subclassed", keras.Sequential, 2),
    ("subclassed", lambda layer, variable: variable.name == "bias", 2),
    ("bidirectional", "both/forward_lstm/*", 3),
    ("bidirectional", "recurrent_kernel", 2),
    ("bidirectional", layers.LSTM, 6),
    ("bidirectional", layers.LSTMCell, 6),
    ("bidirectional", layers.Bidirectional, 6),
    ("bidirectional", layers.TimeDistributed, 2),
    ("bidirectional", "time/out/kernel", 1),
    ("cells", layers.GRUCell, 3),
    ("cells", layers.RNN, 6),
    ("cells", "recurrent_kernel", 2),
    ("attention", "heads/*/kernel", 4),
    ("attention", "grouped/*/bias", 4),
    ("attention", layers.MultiHeadAttention, 8),
    ("attention", "norm/gamma", 1),
    ("convolutional", "separable/*_kernel", 2),
    ("convolutional", "gamma", 2),
    ("convolutional", "leak/alpha", 1),
    ("convolutional", layers.DepthwiseConv1D, 2),
    ("embedding", layers.Embedding, 1),
    ("embedding", "scale/factor", 1),
    ("variational", "kernel", 2),
    ("variational", "hidden/*", 2),
    ("variational", VariationalDense, 3),
    ("variational", lambda layer, variable: layer.name == "out", 1),
    ("wrapper", "wrapped/lstm/lstm_cell/kernel", 1),
    ("wrapper", layers.LSTM, 3),
    ("wrapper", "bias", 2),
    ("twins", "depthwise/kernel", 1),
    ("twins", layers.SeparableConv1D, 3),
    ("wrapped_model", "inner/kernel", 1),
    ("wrapped_model", Bare, 2),
]


@pytest.mark.parametrize(("name", "pattern", "count"), PATTERNS)
def test_a_pattern_reaches_these_weights_and_no_others(name, pattern, count):
    model = MODELS[name][0]()
    before = described(kp.get_priors(model))
    matched = kp.set_priors(model, {pattern: normal()})
    assert len(matched) == count
    assert described(kp.get_priors(model)) == {**before, **dict.fromkeys(matched, repr(normal()))}


def test_a_layer_is_a_rule_for_its_weights():
    model = MODELS["nested"][0]()
    layer = model.get_layer("left").layers[-1]
    matched = kp.set_priors(model, {layer: normal(), model.get_layer("right"): None})
    inside = {path for path in matched if path.startswith(f"left/{layer.name}/")}
    assert len(inside) == len(layer.trainable_variables) > 0
    assert {path for path in matched if matched[path] is not None} == inside
    assert {path.split("/")[0] for path in set(matched) - inside} == {"right"}
    other = layers.Dense(2, name="other")
    with pytest.raises(ValueError, match=r"Received: other \(Dense\), a layer that is not within"):
        kp.set_priors(model, {other: normal()})


@pytest.mark.parametrize("kind", ["Dense", "EinsumDense", "Embedding", "Conv1D"])
def test_factors_of_lora_have_priors(kind, tmp_path):
    make = {
        "Dense": lambda: layers.Dense(5, name="it"),
        "EinsumDense": lambda: layers.EinsumDense("btd,de->bte", (None, 5), name="it"),
        "Embedding": lambda: layers.Embedding(7, 5, name="it"),
        "Conv1D": lambda: layers.Conv1D(5, 2, name="it"),
    }[kind]
    shape = (6,) if kind == "Embedding" else (6, 4)
    model = keras.Sequential([keras.Input(shape), make(), layers.Dense(1, name="out")])
    model.get_layer("it").enable_lora(2)
    matched = kp.set_priors(model, {"*lora*": normal(), "out/kernel": normal()})
    assert len(matched) == 3
    factors = [v for v in model.get_layer("it").trainable_variables if "lora" in v.name]
    assert len(factors) == 2
    factors[1].assign(np.ones(factors[1].shape))  # they begin at 0
    trained = [*factors, model.get_layer("out").kernel]
    expected = -sum(stats.norm.logpdf(array(v), 0.0, 0.5).sum() for v in trained) / NUM_DATA
    assert sum(map(to_float, model.losses)) == pytest.approx(expected, rel=1e-5)
    loaded = saved(model, tmp_path)
    assert described(kp.get_priors(loaded)) == described(kp.get_priors(model))


def test_variable_paths_are_patterns_too():
    for name in ("sequential", "nested", "bidirectional"):
        model = MODELS[name][0]()
        for variable in model.trainable_weights:
            kp.set_priors(model, {variable.path: normal()})
            assert variable.regularizer is not None


@pytest.mark.parametrize("name", ["sequential", "bidirectional", "attention", "convolutional"])
def test_later_rules_win_and_none_removes(name, tmp_path):
    model = MODELS[name][0]()
    kp.set_priors(model, normal())
    matched = kp.set_priors(
        model, {"*": kp.LaplacePrior(0, 1), "bias": None, "*kernel": normal(2.0)}
    )
    for path, prior in matched.items():
        kind = path.rsplit("/", 1)[-1]
        if kind.endswith("kernel"):
            assert repr(prior) == repr(normal(2.0))
        else:
            # The number that the priors before had, all of them.
            other = kp.LaplacePrior(0, 1, num_data=50)
            assert repr(prior) == repr(None if kind == "bias" else other)
    assert described(kp.get_priors(saved(model, tmp_path))) == described(matched)
    assert set(kp.set_priors(model, {"*": None}).values()) == {None}
    assert saved(model, tmp_path).losses == model.losses == []


def test_none_removes_other_regularizers_and_a_prior_replaces_them():
    model = keras.Sequential(
        [keras.Input((3,)), layers.Dense(2, kernel_regularizer="l2", bias_regularizer="l1")]
    )
    kp.set_priors(model, {"kernel": None, "bias": normal()})
    assert model.layers[0].kernel_regularizer is None
    assert repr(model.layers[0].bias_regularizer) == repr(normal())
    assert model.layers[0].kernel.regularizer is None


def test_the_prior_of_the_caller_is_not_touched():
    prior = normal()
    model = sequential()
    kp.set_priors(model, prior)
    kp.set_num_data(model, 7)
    assert prior.num_data == NUM_DATA
    assert {p.num_data for p in kp.get_priors(model).values()} == {7}


@pytest.mark.parametrize("name", ["sequential", "nested", "bidirectional", "attention"])
def test_a_bounded_prior_brings_its_constraint(name, tmp_path):
    model = MODELS[name][0]()
    with pytest.warns(UserWarning, match="Outside the support of their prior were"):
        kp.set_priors(model, {"kernel": kp.HalfNormalPrior(1.0, num_data=NUM_DATA)})
    kernels = [v for v in model.trainable_weights if v.name == "kernel"]
    assert all(array(v).min() > 0 for v in kernels)
    assert np.isfinite(trained_penalties(model))
    loaded = saved(model, tmp_path)
    constrained = [v for v in loaded.trainable_weights if v.constraint is not None]
    assert {v.name for v in constrained} == {"kernel"}
    assert len(constrained) == len(kernels)
    # Once more changes nothing; None takes the constraint away.
    kp.set_priors(model, {"kernel": kp.HalfNormalPrior(1.0)})
    assert all(v.constraint is not None for v in kernels)
    kp.set_priors(model, {"kernel": None})
    assert all(v.constraint is None for v in saved(model, tmp_path).trainable_weights)


def test_training_stays_within_the_support():
    model = sequential()
    with pytest.warns(UserWarning, match=r"\d+ of 12 elements of hidden/kernel"):
        kp.set_priors(model, {"kernel": kp.GammaPrior(2.0, 1.0, num_data=NUM_DATA)})
    model.compile(keras.optimizers.SGD(0.5), "mse")
    x, y = np.ones((8, 3), "float32"), -np.ones((8, 2), "float32")
    losses = model.fit(x, y, epochs=3, verbose=0).history["loss"]
    assert np.all(np.isfinite(losses))
    assert all(array(v).min() > 0 for v in model.trainable_weights if v.name == "kernel")


def test_frozen_weights_are_left_alone():
    model = sequential()
    model.get_layer("hidden").trainable = False
    assert sorted(kp.set_priors(model, normal())) == ["out/bias", "out/kernel"]
    with pytest.raises(ValueError, match=r"frozen weights alone: hidden/kernel, hidden/bias"):
        kp.set_priors(model, {"hidden/*": normal()})


def zero_loss(y, prediction):
    return 0.0 * ops.sum(prediction, axis=-1)


def test_a_traced_function_takes_the_new_prior():
    model = functional()
    model.compile(keras.optimizers.SGD(0.0), zero_loss)
    x, y = np.ones((8, 3), "float32"), np.ones((8, 2), "float32")
    assert model.fit(x, y, verbose=0).history["loss"] == [0.0]
    assert model.evaluate(x, y, verbose=0) == 0.0
    kp.set_priors(model, normal(3.0))
    logpdf = [stats.norm.logpdf(array(v), 0.0, 3.0).sum() for v in model.trainable_weights]
    expected = pytest.approx(-sum(logpdf) / NUM_DATA, rel=1e-5)
    assert model.evaluate(x, y, verbose=0) == expected
    assert model.fit(x, y, verbose=0).history["loss"] == [expected]


def test_weights_and_random_numbers_stay():
    model = nested()
    before = model.get_weights()
    random.seed(3)
    expected = random.random()
    random.seed(3)
    kp.set_priors(model, normal())
    assert random.random() == expected
    for w, v in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(w, v)


def test_a_compiled_model_keeps_its_optimizer_and_loads(tmp_path):
    model = sequential()
    model.compile("adam", "mse")
    x, y = np.ones((8, 3), "float32"), np.ones((8, 2), "float32")
    model.fit(x, y, verbose=0)
    kp.set_priors(model, normal())
    loaded = saved(model, tmp_path)
    assert loaded.evaluate(x, y, verbose=0) == pytest.approx(model.evaluate(x, y, verbose=0))


@pytest.mark.parametrize("shared", [False, True])
def test_the_kl_of_a_posterior_takes_the_prior(shared, tmp_path):
    one = kp.NormalPrior(0, 1, num_data=NUM_DATA)
    given = {"kernel_prior": one, "bias_prior": one} if shared else {}
    layer = VariationalDense(2, seed=0, name="out", **given)
    model = keras.Sequential([keras.Input((3,)), layer])
    kp.set_priors(model, {"kernel": normal(2.0)})
    assert repr(layer.kernel_prior) == repr(normal(2.0))
    assert repr(layer.bias_prior) == repr(one if shared else kp.NormalPrior(0, 1))
    q = layer.kernel_posterior
    mean, sd = array(q.mean()).astype("float64"), array(q.stddev()).astype("float64")
    kl = np.sum(np.log(2.0 / sd) + (sd**2 + mean**2) / 8.0 - 0.5)
    assert to_float(q.loc.regularizer.kl()) == pytest.approx(kl, rel=1e-5)
    loaded = saved(model, tmp_path)
    assert described(kp.get_priors(loaded)) == described(kp.get_priors(model))
    assert trained_penalties(loaded) == pytest.approx(trained_penalties(model), rel=1e-6)


def test_one_prior_object_for_two_posteriors_is_told_apart(tmp_path):
    one = kp.NormalPrior(0, 1, num_data=NUM_DATA)
    layer = kp.layers.VariationalDepthwiseConv1D(2, depthwise_prior=one, bias_prior=one, name="out")
    model = keras.Sequential([keras.Input((5, 2)), layer])
    kp.set_priors(model, {"bias": normal(2.0)})
    kp.set_priors(model, {"kernel": normal(3.0)})
    loaded = saved(model, tmp_path).layers[0]
    assert repr(loaded.depthwise_prior) == repr(normal(3.0))
    assert repr(loaded.bias_prior) == repr(normal(2.0))


def test_a_bounded_prior_on_a_point_estimate(tmp_path):
    model = variational()
    with pytest.warns(UserWarning, match="elements of out/kernel"):
        kp.set_priors(model, {"out/*": kp.HalfNormalPrior(1.0)})
    loc = model.get_layer("out").kernel_posterior.loc
    assert array(loc).min() > 0
    again = saved(model, tmp_path).get_layer("out").kernel_posterior.loc
    assert again.constraint.get_config() == loc.constraint.get_config()
    kp.set_priors(model, {"out/*": kp.NormalPrior(0, 1)})
    assert loc.constraint is None


def test_a_positive_posterior_needs_no_constraint():
    layer = VariationalDense(2, kernel_posterior="log_normal", kernel_prior=kp.GammaPrior(2, 1))
    model = keras.Sequential([keras.Input((3,)), layer])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kp.set_priors(model, {"kernel": kp.HalfNormalPrior(1.0)})
    assert layer.kernel_posterior.loc.constraint is None
    assert repr(layer.kernel_prior) == repr(kp.HalfNormalPrior(1.0))
