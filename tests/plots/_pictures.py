"""One picture of each function, of inputs that are the same on every backend."""

import numpy as np

import keras_priors as kp
from tests.plots import _inputs as inputs


def weights():
    return kp.plots.weights(inputs.variational_net())


def weights_as_bands():
    return kp.plots.weights(inputs.variational_net(10, 8, 4), paths="*/kernel")


def kernel_images():
    return kp.plots.kernel_images(inputs.variational_net(16, 3), "hidden/kernel")


def signal_to_noise():
    return kp.plots.signal_to_noise(inputs.variational_net(10, 8, 4))


def pruning_curve():
    model = inputs.variational_net()
    model.compile(loss=kp.likelihoods.Normal(0.5))
    x = np.random.default_rng(0).normal(size=(30, 3)).astype("float32")
    return kp.plots.pruning_curve(model, x, model(x))


def scales():
    return kp.plots.scales(inputs.variational_net(10, 8, 4))


def predictive_band():
    x, y, predictive = inputs.regression()
    return kp.plots.predictive_band(predictive, x, y)


def predictive_band_as_intervals():
    x, y, _ = inputs.regression()
    rng = np.random.default_rng(0)
    x = np.stack([x, rng.normal(size=60)], axis=1)
    draws = (rng.normal([1.0, 0.5], 0.1, (50, 2)) @ x.T)[..., None]
    predictive = kp.Predictive(draws[:, :30], kp.likelihoods.Normal(0.3))
    return kp.plots.predictive_band(predictive, x[:30], y[:30], feature=0)


def decision_boundary():
    x, y, model = inputs.two_moons()
    posterior = kp.inference.PointPosterior(
        *_as_point(model)
    )  # the same on each backend, as draws of layers are not
    return kp.plots.decision_boundary(posterior, x, y, resolution=30)


def reliability_diagram():
    return kp.plots.reliability_diagram(*inputs.classes(), label="draws")


def pit_histogram():
    _, y, predictive = inputs.regression(300)
    return kp.plots.pit_histogram(y, predictive)


def risk_coverage():
    return kp.plots.risk_coverage(*inputs.classes(), label="draws")


def examples():
    y, predictive = inputs.classes(30)
    return kp.plots.examples(predictive, inputs.digits(), y, count=4)


def examples_as_rows():
    y, predictive = inputs.classes(30)
    x = np.random.default_rng(0).normal(size=(30, 5))
    return kp.plots.examples(predictive, x, y, count=3, names=["a", "b", "c", "d", "e"])


def prior_predictive():
    x, _, predictive = inputs.regression()
    return kp.plots.prior_predictive(predictive, x)


def prior_gallery():
    priors = {
        "normal": kp.NormalPrior(0, 1),
        "Laplace": kp.LaplacePrior(0, 1),
        "Student t": kp.StudentTPrior(3.0),
        "horseshoe": kp.HorseshoePrior(0.1),
    }
    return kp.plots.prior_gallery(priors)


def training_curves():
    return kp.plots.training_curves(inputs.HISTORY)


def class_probabilities():
    y, predictive = inputs.classes(10)
    return kp.plots.class_probabilities(predictive, [0, 1, 2, 3], y)


def class_probabilities_as_names():
    y, predictive = inputs.classes(10)
    names = ["spruce", "pine", "aspen"]
    return kp.plots.class_probabilities(predictive, [1, 2], y, names=names)


def confusion_matrix():
    return kp.plots.confusion_matrix(*inputs.classes(), names=["spruce", "pine", "aspen"])


def trace():
    return kp.plots.trace(inputs.chains(), most=3)


def rank():
    return kp.plots.rank(inputs.chains(), most=3)


def compare():
    return kp.plots.compare(inputs.TABLE)


def compare_as_arrows():
    rows = {"SGD": {"nll": 300.0, "accuracy": 0.31}, **inputs.TABLE}
    errors = {name: {"nll": 0.02, "accuracy": 0.004} for name in rows}
    return kp.plots.compare(kp.inference.Table(rows, errors), ["nll", "accuracy"])


def _as_point(model):
    import keras

    plain = kp.to_deterministic(model)
    plain = keras.Sequential([keras.Input((2,)), *plain.layers])
    values = [keras.ops.convert_to_numpy(v) for v in plain.trainable_variables]
    return plain, kp.likelihoods.Bernoulli(), values


PICTURES = [
    weights,
    weights_as_bands,
    kernel_images,
    signal_to_noise,
    pruning_curve,
    scales,
    predictive_band,
    predictive_band_as_intervals,
    decision_boundary,
    reliability_diagram,
    pit_histogram,
    risk_coverage,
    examples,
    examples_as_rows,
    prior_predictive,
    prior_gallery,
    training_curves,
    class_probabilities,
    class_probabilities_as_names,
    confusion_matrix,
    trace,
    rank,
    compare,
    compare_as_arrows,
]
