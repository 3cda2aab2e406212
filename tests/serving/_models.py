"""What is served in the tests: small models and posteriors, each with rows."""

import warnings

import keras
import numpy as np

import keras_priors as kp

DRAWS = 5


def rows(n, *shape):
    return np.random.default_rng(n).normal(size=(n, *shape)).astype("float32")


def used(model):
    """The model with moving statistics that are none of those it began with."""
    model(rows(20, *model.input_shape[1:]), training=True)
    return model


def regressor():
    """Means and scales of two targets."""
    layers = [
        keras.Input((3,), name="x"),
        kp.VariationalDense(8, activation="tanh", num_data=50, name="hidden"),
        keras.layers.BatchNormalization(),
        keras.layers.Dropout(0.5),
        kp.VariationalDense(4, num_data=50, name="out"),
    ]
    model = used(keras.Sequential(layers, name="regressor"))
    model.compile(loss=kp.likelihoods.HeteroscedasticNormal())
    return model


def classifier():
    """Three classes of images."""
    layers = [
        keras.Input((6, 6, 1), name="image"),
        kp.VariationalConv2D(4, 3, activation="relu", num_data=50),
        keras.layers.BatchNormalization(),
        keras.layers.Flatten(),
        kp.VariationalDense(3, num_data=50),
    ]
    model = used(keras.Sequential(layers, name="classifier"))
    model.compile(loss=kp.likelihoods.Categorical())
    return model


def plain(outputs=1):
    """With priors and without a posterior."""
    x = keras.Input((3,), name="x")
    norm = keras.layers.BatchNormalization(center=False, scale=False)
    hidden = norm(keras.layers.Dense(8, activation="tanh")(x))
    model = keras.Model(x, keras.layers.Dense(outputs, name="last")(hidden), name="plain")
    kp.set_priors(model, {keras.layers.Dense: kp.NormalPrior(0, 1)})
    return model


def laplace():
    """Of a last layer, whose draws are exact, so that "glm" and "mc" are one."""
    method = kp.inference.Laplace("full", layers="last", max_iterations=20)
    x = rows(30, 3)
    model = plain()
    model(x, training=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is not at the mode, which is nothing to us
        return method.fit(model, x, x[:, :1], kp.likelihoods.Normal(0.3), seed=0, verbose=0)


def ensemble():
    """Members with moving statistics of their own."""
    method = kp.inference.DeepEnsemble(DRAWS, epochs=1, batch_size=16)
    x = rows(32, 3)
    y = (x[:, 0] > 0).astype("int32")
    return method.fit(plain(2), x, y, kp.likelihoods.Categorical(), seed=0, verbose=0)


def sampled():
    """Draws of the last layer, and of the statistics below it, as an ensemble has them."""
    model, rng = plain(2), np.random.default_rng(0)

    def draws_of(variable, spread):
        noise = spread * rng.normal(size=(1, DRAWS, *variable.shape))
        return (keras.ops.convert_to_numpy(variable) + noise).astype("float32")

    values = [
        draws_of(v, 1.0 if "last" in path else 0.0)
        for path, v in zip(kp.get_priors(model), model.trainable_variables, strict=True)
    ]
    mean = next(k for k, v in enumerate(model.variables) if v.path.endswith("moving_mean"))
    return kp.inference.SamplePosterior(
        model,
        kp.likelihoods.Categorical(),
        values,
        states={mean: draws_of(model.variables[mean], 1)},
    )
