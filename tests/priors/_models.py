"""One model with a layer for each prior, so that a property costs one `fit` for all of them."""

import keras
import numpy as np
from keras import ops

from keras_priors import backend
from keras_priors import priors as p

X = np.random.default_rng(0).normal(size=(8, 3)).astype("float32")


def every_prior():
    """One prior of each class, with parameters that fit a kernel of shape (3, 2) near 0.5."""
    gumbel = (
        backend.distribution("Gumbel", loc=np.float32(0.5), scale=np.float32(2.0))
        if (keras.backend.backend() != "torch")
        else _torch_gumbel()
    )
    matrix = np.array([[1.0, 0.2, 0.0], [0.2, 1.0, 0.3], [0.0, 0.3, 1.0]])
    return [
        p.BetaPrior(2.0, [0.5, 3.0]),
        p.CauchyPrior(0.0, 1.0),
        p.DistributionPrior(gumbel),
        p.ExponentialPrior(2.0),
        p.GammaPrior([[1.0], [2.0], [3.0]], 2.0),
        p.GeneralizedNormalPrior(0.0, 1.0, 1.5),
        p.HalfCauchyPrior(1.0),
        p.HalfNormalPrior(np.full((3, 2), 0.7)),
        p.HalfStudentTPrior(3.0, 1.0),
        p.HorseshoePrior(0.1),
        p.InverseGammaPrior(2.0, 1.0),
        p.LaplacePrior(0.0, 1.0),
        p.LogNormalPrior(0.0, 1.0),
        p.LogisticPrior(0.0, 1.0),
        p.MatrixNormalPrior(row_covariance=matrix, column_scale_tril=[[1.0, 0.0], [0.5, 2.0]]),
        p.MultivariateNormalPrior(precision=matrix, axis=0),
        p.NormalPrior([0.0, 0.1], 1.0),
        p.RegularizedHorseshoePrior(0.1, 1.0),
        p.ScaleMixturePrior((0.3, 0.7), (1.0, 0.01)),
        p.SpikeAndSlabPrior(0.3, 1.0, 0.01),
        p.StudentTPrior(3.0, 0.0, 1.0),
        p.TruncatedNormalPrior(0.0, 1.0, low=-1.0),
        p.UniformPrior(-1.0, 1.0),
        p.VarianceScalingPrior(2.0, "fan_avg", "laplace"),
    ]


def _torch_gumbel():
    import torch

    return torch.distributions.Gumbel(torch.tensor(0.5), torch.tensor(2.0))


def wide_model(priors, kernel=0.5):
    """Three inputs, one Dense layer with two units for each prior, all their outputs summed."""
    x = keras.Input((3,))
    outputs = []
    for i, prior in enumerate(priors):
        prior.num_data = 8
        layer = keras.layers.Dense(
            2,
            use_bias=False,
            kernel_initializer=keras.initializers.Constant(kernel),
            kernel_regularizer=prior,
            kernel_constraint=prior.constraint(),
            name=f"{i}_{type(prior).__name__.lower()}",
        )
        outputs.append(layer(x))
    return keras.Model(x, keras.layers.Add()(outputs))


def penalties(model):
    """Sum of the penalties, as Keras adds them to the loss."""
    return float(
        sum(float(ops.convert_to_numpy(ops.cast(loss, "float32"))) for loss in model.losses)
    )
