"""The Laplace approximation."""

from __future__ import annotations

from typing import Any

import keras

from keras_priors.inference.laplace.approximate import Settings, approximate, warn_of_no_mode
from keras_priors.inference.laplace.laplace_posterior import LaplacePosterior
from keras_priors.inference.laplace.latent_scales import warn_of_scales
from keras_priors.inference.laplace.memory import check_memory, memory_of
from keras_priors.inference.log_posterior import LogPosterior
from keras_priors.inference.method import Method
from keras_priors.utils.export import export
from keras_priors.utils.parameters import whole_number

_CHOICES = {
    "structure": ("kronecker", "diagonal", "full", "low_rank"),
    "curvature": ("ggn", "fisher", "hessian"),
    "layers": ("all", "last"),
}


@export("keras_priors.inference")
class Laplace(Method):
    """A normal distribution around the mode, with the curvature of the log posterior there.

        w ~ Normal(w*, P^-1),    P = sum_i curvature_i - d2 log p(w) / dw2    at w = w*

        curvature_i = J_i^T H_i J_i, with J = df/dw and H = -d2 log p(y | f) / df2      "ggn"
                      g_i g_i^T, with g = d log p(y_i | f(x_i; w)) / dw                 "fisher"
                      -d2 log p(y_i | f(x_i; w)) / dw2                                  "hessian"

    The outputs f are the natural ones of the likelihood: where the model gives probabilities,
    their logits, so that "ggn" is the Fisher information; for `HeteroscedasticNormal`, `StudentT`
    and `Laplace` H is its mean over y for the same reason. "fisher" is the empirical one. Only
    "hessian", and "ggn" with `Beta` and `NegativeBinomial(None)`, can fail to be positive definite
    by the likelihood; "hessian" has the structures "full" and "diagonal".

    "kronecker" holds A (x) G for each Dense, Conv1D and Conv2D layer (channels last, no groups,
    called once), kernel and bias together, and the diagonal for all other weights. A prior that
    differs within a layer counts there by its diagonal in the eigenvectors of A and G. A
    `JointNormalPrior` counts as it is in "full" and by its diagonal in "diagonal"; the others
    refuse it.

    A weight with bounds, such as a noise scale, is approximated as the z without bounds of
    `LogPosterior`, at the mode of the density of z, Jacobian included: its draws stay inside. So is
    an unknown scale of a prior (`NormalPrior(0, scale=HalfCauchyPrior(1.0))`), as log(s), with its
    weights, as (w - loc) / s, by "full", "low_rank" and "diagonal" of all layers. Of many weights
    of one scale that is a rough answer, and a warning says so.

    Args:
        structure: "kronecker" (the default), "diagonal", "full" or "low_rank": what is kept of
            the sum over rows.
        curvature: "ggn" (the default), "fisher" or "hessian".
        layers: "all" (the default), or "last": the last Dense layer alone, and the scale of a
            `NoiseScale` after it, if that is trained, as with "all"; all other weights are points.
            It costs one pass over the data and takes any structure.
        max_iterations: integer of at least 0, steps of L-BFGS that polish the mode of all
            weights; 0 takes the trained weights as they are. Defaults to None: 1000, and 0 for
            layers="last".
        tolerance: float, how far the mode may be without a warning, in posterior standard
            deviations, as a root mean square over directions: sqrt(g^T P^-1 g / D) with the
            gradient g of the log posterior. Defaults to 1: as far as a draw of the posterior is.
        rank: integer, number of eigenvectors of structure="low_rank". Defaults to 50.
        memory_limit: integer, bytes; more is refused before any is taken. Defaults to 4 GiB.

    Raises:
        TypeError: a number that is no integer.
        ValueError: an unknown choice; in `fit`, too much memory, a precision that is not positive
            definite, a start where the log posterior is not finite, an output without a
            likelihood.

    Example:
        >>> import keras, numpy as np
        >>> import keras_priors as kp
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(
        ...     1, use_bias=False, kernel_regularizer=kp.NormalPrior(0, 1), name="line")])
        >>> posterior = kp.inference.Laplace("full").fit(
        ...     model, np.ones((3, 1)), np.ones((3, 1)), kp.likelihoods.Normal(1.0))
        >>> posterior.mean()["line/kernel"].round(3).tolist()     # 3 / (3 + 1)
        [[0.75]]
        >>> posterior.stddev()["line/kernel"].round(3).tolist()   # 1 / sqrt(3 + 1)
        [[0.5]]

    References:
        - MacKay, 1992, A practical Bayesian framework for backpropagation networks, section 2.
        - Martens and Grosse, 2015, KFAC, section 3, arXiv:1503.05671; Grosse and Martens, 2016,
          section 3, arXiv:1602.01407 (convolutions).
        - Ritter et al., 2018, A scalable Laplace approximation for neural networks.
        - Daxberger et al., 2021, Laplace redux, arXiv:2106.14806.
        - Yang et al., 2024, Bayesian low-rank adaptation for large language models,
          arXiv:2308.13111 (LoRA).
    """

    checkpoints = True
    _parameters = (
        "structure",
        "curvature",
        "layers",
        "max_iterations",
        "tolerance",
        "rank",
        "memory_limit",
    )

    def __init__(
        self,
        structure: str = "kronecker",
        curvature: str = "ggn",
        *,
        layers: str = "all",
        max_iterations: int | None = None,
        tolerance: float = 1.0,
        rank: int = 50,
        memory_limit: int = 4 * 2**30,
    ) -> None:
        given = {"structure": structure, "curvature": curvature, "layers": layers}
        for name, value in given.items():
            if value not in _CHOICES[name]:
                raise ValueError(
                    f"`{name}` of Laplace must be one of {_CHOICES[name]}. "
                    f"Received: {name}={value!r}."
                )
        if curvature == "hessian" and structure not in ("full", "diagonal"):
            raise ValueError(
                'The Hessian of the log likelihood has the structures "full" and "diagonal". '
                f'Received: structure={structure!r}. Use curvature="ggn".'
            )
        if max_iterations is not None and max_iterations != 0:
            max_iterations = whole_number("Laplace", "max_iterations", max_iterations)
        if not tolerance > 0:
            raise ValueError(
                f"`tolerance` of Laplace must be greater than 0. Received: tolerance={tolerance!r}."
            )
        self.structure = structure
        self.curvature = curvature
        self.layers = layers
        self.max_iterations = max_iterations
        self.tolerance = tolerance
        self.rank = whole_number("Laplace", "rank", rank)
        self.memory_limit = whole_number("Laplace", "memory_limit", memory_limit)

    def memory(self, model: Any) -> int:
        """Bytes that `fit` takes at most beside the model and the data, estimated."""
        structure = "full" if self.curvature == "hessian" else self.structure
        return memory_of(model, structure, self.layers, self.rank)

    def infer(
        self, log_posterior: LogPosterior, seed: Any, verbose: Any, resume: Any
    ) -> LaplacePosterior:
        model = log_posterior.model
        structure = "full" if self.curvature == "hessian" else self.structure
        check_memory(model, structure, self.layers, self.rank, self.memory_limit)
        if any(
            leaf.dtype.kind in "UT" for leaf in keras.tree.flatten(log_posterior.observations.x)
        ):
            raise ValueError(
                "Laplace takes derivatives row by row, for which inputs must be numbers. Received: "
                f"strings, of which {model.name} makes numbers itself. Call the layer that does "
                "first, and fit a model of the rest of the layers; or take SGLD, SGHMC, MeanField "
                "or DeepEnsemble."
            )
        iterations = self.max_iterations
        if iterations is None:
            iterations = 1000 if self.layers == "all" else 0
        settings = Settings(self.structure, self.curvature, self.layers, self.tolerance, self.rank)
        found = approximate(settings, log_posterior, iterations, verbose)
        warn_of_no_mode(found, self.tolerance, model.name)
        if self.layers == "all":
            warn_of_scales(log_posterior.positions, found.mode, found.precision.variance())
        return LaplacePosterior(
            model,
            log_posterior.likelihoods.structure,
            found,
            settings,
            observations=log_posterior.observations,
        )
