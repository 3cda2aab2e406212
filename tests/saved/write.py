"""Writes the files of this version that later versions must be able to read.

`python tests/saved/write.py FOLDER`, with the version whose files are to be kept. Beside each file
stands what it said when it was written: `expected.npz`.
"""

import pathlib
import sys
import warnings

import keras
import numpy as np

import keras_priors as kp

X = np.linspace(-1.0, 1.0, 24, dtype="float32").reshape(8, 3)
Y = np.sin(3.0 * X[:, :1]).astype("float32")
IMAGES = np.linspace(-1.0, 1.0, 2 * 6 * 6 * 2, dtype="float32").reshape(2, 6, 6, 2)


def plain():
    return keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dense(
                4,
                "tanh",
                kernel_regularizer=kp.NormalPrior(0.0, 1.0, num_data=8),
                bias_regularizer=kp.StudentTPrior(4.0, 0.0, 1.0, num_data=8),
                name="hidden",
            ),
            keras.layers.Dropout(0.3, seed=1),
            keras.layers.Dense(
                1,
                kernel_regularizer=kp.NormalPrior(0.0, 1.0, num_data=8),
                bias_regularizer=kp.NormalPrior(0.0, 3.0, num_data=8),
                name="last",
            ),
        ],
        name="plain",
    )


def priors():
    """One layer for each prior."""
    chosen = [
        kp.BetaPrior(2.0, 2.0),
        kp.CauchyPrior(0.0, 1.0),
        kp.ExponentialPrior(1.0),
        kp.GammaPrior(2.0, 1.0),
        kp.GeneralizedNormalPrior(0.0, 1.0, 3.0),
        kp.HalfCauchyPrior(1.0),
        kp.HalfNormalPrior(1.0),
        kp.HalfStudentTPrior(3.0, 1.0),
        kp.HorseshoePrior(1.0),
        kp.InverseGammaPrior(3.0, 1.0),
        kp.LaplacePrior(0.0, 1.0),
        kp.LogisticPrior(0.0, 1.0),
        kp.LogNormalPrior(0.0, 1.0),
        kp.MultivariateNormalPrior(np.zeros(2), np.eye(2)),
        kp.RegularizedHorseshoePrior(1.0),
        kp.ScaleMixturePrior(),
        kp.SpikeAndSlabPrior(),
        kp.TruncatedNormalPrior(0.0, 1.0, -2.0, 2.0),
        kp.UniformPrior(-2.0, 2.0),
        kp.VarianceScalingPrior(),
    ]
    inputs = keras.Input((2,))
    outputs = [
        keras.layers.Dense(
            2,
            use_bias=False,
            kernel_regularizer=prior,
            kernel_initializer=keras.initializers.Constant(0.3),
            name=type(prior).__name__.lower(),
        )(inputs)
        for prior in chosen
    ]
    model = keras.Model(inputs, keras.layers.add(outputs), name="priors")
    kp.set_num_data(model, 8)
    return model


def variational():
    """Twins, families and the wrapper."""
    return keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            kp.VariationalConv2D(3, 2, seed=1),
            kp.VariationalDepthwiseConv2D(2, seed=1, estimator="flipout"),
            kp.VariationalSeparableConv2D(2, 2, seed=1),
            keras.layers.Flatten(),
            kp.VariationalDense(3, "relu", kernel_posterior="low_rank", seed=2),
            kp.VariationalDense(3, kernel_posterior="full", bias_posterior="delta", seed=3),
            kp.layers.Variational(keras.layers.Dense(2, name="inner"), seed=4),
            kp.VariationalDense(1, kernel_prior=kp.NormalPrior(0.0, kp.Learnable()), seed=5),
        ],
        name="variational",
    )


def methods():
    fast = {"num_steps": 20}
    inference = kp.inference
    found = {
        "map": inference.MAP(20),
        "laplace_kronecker": inference.Laplace(max_iterations=20, tolerance=1e9),
        "laplace_full": inference.Laplace("full", max_iterations=20, tolerance=1e9),
        "laplace_diagonal": inference.Laplace("diagonal", max_iterations=20, tolerance=1e9),
        "laplace_low_rank": inference.Laplace("low_rank", max_iterations=20, rank=3, tolerance=1e9),
        "laplace_last": inference.Laplace("full", layers="last", tolerance=1e9),
        "mean_field": inference.MeanField(**fast),
        "low_rank": inference.LowRank(2, **fast),
        "full_rank": inference.FullRank(**fast),
        "sghmc": inference.SGHMC(num_burnin=10, num_samples=3, thinning=2, num_chains=1),
        "swag": inference.SWAG(1e-3, burnin_epochs=1, num_snapshots=3, epochs_between=1, rank=2),
        "mc_dropout": inference.MCDropout(),
    }
    if keras.backend.backend() != "torch":
        found["nuts"] = inference.NUTS(2, 150, 5)
    return found


def main(folder):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(0)
    expected = {}
    for make, x in ((plain, X), (priors, X[:, :2]), (variational, IMAGES)):
        model = make()
        kp.set_num_data(model, 8)
        model.save(folder / f"{model.name}.keras")
        expected[f"{model.name}/outputs"] = keras.ops.convert_to_numpy(model(x, training=False))
        if make is not variational:  # a KL without closed form is drawn
            expected[f"{model.name}/penalty"] = keras.ops.convert_to_numpy(sum(model.losses))
    model = plain()
    for name, method in methods().items():
        posterior = method.fit(model, X, Y, kp.likelihoods.Normal(0.3), seed=0, verbose=0)
        posterior.save(folder / f"{name}.posterior")
        expected |= {f"{name}/mean/{k}": v for k, v in posterior.mean().items()}
        expected |= {f"{name}/stddev/{k}": v for k, v in posterior.stddev().items()}
    np.savez_compressed(folder / "expected.npz", **expected)


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        main(sys.argv[1])
