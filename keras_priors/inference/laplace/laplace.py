"""The Laplace approximation."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_priors import backend
from keras_priors.inference.laplace.curvature import diagonal, full, hessian, kronecker, low_rank
from keras_priors.inference.laplace.laplace_posterior import LaplacePosterior
from keras_priors.inference.laplace.laplace_rows import LaplaceRows
from keras_priors.inference.laplace.last_layer import LastLayer, last_layer_weights
from keras_priors.inference.laplace.memory import check_memory, memory_of
from keras_priors.inference.laplace.precision import DiagonalPrecision, FullPrecision
from keras_priors.inference.laplace.prior_curvature import NormalPriors, prior_precision
from keras_priors.inference.laplace.sum_over_blocks import SumOverBlocks
from keras_priors.inference.log_posterior import LogPosterior
from keras_priors.inference.maximize import maximize, not_finite
from keras_priors.inference.method import Method
from keras_priors.utils.export import export
from keras_priors.utils.parameters import whole_number
from keras_priors.utils.warn import warn

_CHOICES = {
    "structure": ("kronecker", "diagonal", "full", "low_rank"),
    "curvature": ("ggn", "fisher", "hessian"),
    "layers": ("all", "last"),
}

# Largest element of the gradient, nats per row, to which the mode is polished.
_FLAT = 1e-5


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
    "hessian", and "ggn" with `Beta`, can fail to be positive definite by the likelihood; "hessian"
    has the structures "full" and "diagonal".

    "kronecker" holds A (x) G for each Dense, Conv1D and Conv2D layer (channels last, no groups,
    called once), kernel and bias together, and the diagonal for all other weights. A prior that
    differs within a layer counts there by its diagonal in the eigenvectors of A and G.

    A weight with bounds, such as a noise scale, is approximated as the z without bounds of
    `LogPosterior`, at the mode of the density of z, Jacobian included: its draws stay inside.

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
            definite, a start where the log posterior is not finite, several outputs.

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
    """

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
        model, positions = log_posterior.model, log_posterior.positions
        likelihood = log_posterior.likelihoods.single
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
        moved = last_layer_weights(model, positions) if self.layers == "last" else None
        rows = LaplaceRows(model, positions, likelihood, self.curvature == "fisher", moved)
        rows.measure(log_posterior.observations.batch([0])[0])
        z = positions.unconstrain(positions.current())
        if self.layers == "last":
            LastLayer(rows)  # which refuses what it cannot take, before the mode is sought
        direct = self.structure != "low_rank" and self.curvature != "hessian"
        if self.layers == "last" and not self.max_iterations and direct:
            return self._one_pass(rows, log_posterior, z, verbose)
        z, log_likelihood, slope = self._mode(rows, log_posterior, z, verbose)
        prior = prior_precision(rows, z, self.structure)
        if self.curvature == "hessian":
            matrix = hessian(rows, log_posterior, z, verbose)
            if self.structure == "full":
                precision: Any = FullPrecision(matrix, prior)
            else:
                precision = DiagonalPrecision(np.diagonal(matrix).copy(), prior)
        elif self.structure == "low_rank":
            precision = low_rank(rows, log_posterior, z, prior, self.rank, verbose)
        elif self.layers == "last":
            last = LastLayer(rows)
            precision = last.precision(self.structure, log_posterior, z, prior, verbose)[0]
        else:
            make = {"full": full, "diagonal": diagonal, "kronecker": kronecker}[self.structure]
            precision = make(rows, log_posterior, z, prior, verbose)
        self._check_mode(slope, precision, log_posterior)
        residuals = _residuals(rows, log_posterior, z)
        return self._posterior(rows, log_posterior, z, precision, log_likelihood, residuals)

    def _one_pass(
        self, rows: LaplaceRows, log_posterior: LogPosterior, z: Any, verbose: Any
    ) -> LaplacePosterior:
        prior = prior_precision(rows, z, self.structure)
        precision, value, slope, residuals = LastLayer(rows).precision(
            self.structure, log_posterior, z, prior, verbose
        )
        if not (math.isfinite(value) and np.all(np.isfinite(slope))):
            raise ValueError(not_finite(value, log_posterior))

        def log_prior(z: Any) -> Any:
            values, log_det = rows.positions.constrain(z)
            return log_posterior.log_prior_of(values) + log_det

        gradient = backend.compile_function(backend.value_and_gradient(log_prior))(z)[1]
        slope = slope + ops.convert_to_numpy(rows.take(gradient))
        self._check_mode(slope, precision, log_posterior)
        return self._posterior(rows, log_posterior, z, precision, value, residuals)

    def _mode(
        self, rows: LaplaceRows, log_posterior: LogPosterior, z: Any, verbose: Any
    ) -> tuple[Any, float, Any]:
        """(z, log likelihood, slope (D,) of the log posterior in what moves)."""
        iterations = self.max_iterations
        if iterations is None:
            iterations = 1000 if self.layers == "all" else 0
        z, total, _ = maximize(log_posterior, z, iterations, _FLAT, jacobian=True, verbose=verbose)
        _, gradient = backend.compile_function(log_posterior.log_prob_and_gradient)(
            z, log_posterior.data
        )
        values, log_det = log_posterior.positions.constrain(z)
        prior = float(log_posterior.log_prior_of(values)) + float(log_det)
        return z, total - prior, ops.convert_to_numpy(rows.take(gradient))

    def _log_prior(self, rows: LaplaceRows, values: Any, log_det: float) -> float:
        """log p of z in nats. Points are given, not drawn: their prior has no part in it."""
        priors = [(rows.positions.priors[k], values[k]) for k in rows.moved]
        return log_det + sum(float(p.log_prob(v)) for p, v in priors if p is not None)

    def _check_mode(self, slope: Any, precision: Any, log_posterior: LogPosterior) -> None:
        slope = np.asarray(slope, "float64")
        squared = float(precision.covariance_of(slope[None, None]).reshape(()))
        away = math.sqrt(max(squared, 0.0) / len(slope))
        if not away <= self.tolerance:
            warn(
                "A Laplace approximation is one around a mode. Received: "
                f"{log_posterior.model.name}, whose mode is about {away:.2g} posterior standard "
                f"deviations away, more than the tolerance {self.tolerance:g}. Train it longer, "
                "with these priors and `num_data` set, or give more `max_iterations`.",
            )

    def _posterior(
        self,
        rows: LaplaceRows,
        log_posterior: LogPosterior,
        z: Any,
        precision: Any,
        log_likelihood: float,
        residuals: tuple[float, float] | None,
    ) -> LaplacePosterior:
        values, log_det = rows.positions.constrain(z)[0], rows.log_det(z)
        values = [ops.convert_to_numpy(v) for v in values]
        return LaplacePosterior(
            log_posterior.model,
            rows.natural.likelihood,
            ops.convert_to_numpy(z),
            precision,
            structure=self.structure,
            layers=self.layers,
            log_likelihood=log_likelihood,
            log_prior=self._log_prior(rows, values, log_det),
            residuals=residuals,
            normal_priors=NormalPriors(rows, values).entries,
            observations=log_posterior.observations,
        )


def _residuals(
    rows: LaplaceRows, log_posterior: LogPosterior, z: Any
) -> tuple[float, float] | None:
    """(how many, the sum of squares) of the residuals under a Normal likelihood of one scale."""
    if not rows.has_residuals:
        return None

    def of_block(z: Any, fixed: Any, block: Any) -> Any:
        x, y, weight = block
        return rows.residuals_of(rows.outputs(rows.positions.constrain(z)[0], fixed, x), y, weight)

    sums = SumOverBlocks(of_block, log_posterior.observations, log_posterior._block)
    count, squares = sums(z, rows.fixed())
    return float(count), float(squares)
