"""The outputs in which a likelihood's curvature is taken, and that curvature."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_priors import backend, likelihoods
from keras_priors.predictive.predictive import Predictive


class NaturalOutputs:
    """f, the logits where the model gives probabilities, and H = -d2 log p(y | f) / df2.

    Probabilities of a softmax are f = log p, of which softmax(f) = p: there the curvature is the
    Fisher information and cannot be negative, and draws of f stay in the simplex.

    Args:
        likelihood: the likelihood of the outputs.
    """

    def __init__(self, likelihood: Any) -> None:
        self.likelihood = likelihood
        self._classes = isinstance(likelihood, likelihoods.Categorical)
        self._labels = isinstance(likelihood, likelihoods.Bernoulli)
        self.is_classes = self._classes or self._labels
        self.linked = self.is_classes and not likelihood.from_logits
        """Whether f is another thing than the outputs."""

    def measure(self, outputs: Any) -> tuple[int, ...]:
        """Shape of one row of f, before it is flat, from outputs (R, ...)."""
        return tuple(outputs.shape[1:])

    def forward(self, outputs: Any) -> Any:
        """f (R, K) of outputs (R, ...), one row flat."""
        if self.linked:
            least = keras.config.epsilon()
            if self._classes:
                outputs = ops.log(ops.maximum(outputs, least))
            else:
                outputs = ops.clip(outputs, least, 1.0 - least)
                outputs = ops.log(outputs) - ops.log(1.0 - outputs)
        return ops.reshape(ops.cast(outputs, "float32"), (outputs.shape[0], -1))

    def backward(self, natural: Any) -> Any:
        """Outputs of the model, NumPy, from f (..., in the shape of the outputs), NumPy."""
        if not self.linked:
            return natural
        from scipy import special  # Not at `import keras_priors`: it takes long.

        return special.softmax(natural, axis=-1) if self._classes else special.expit(natural)

    def outputs(self, draws: Any, shape: tuple[int, ...]) -> Any:
        """Outputs of the model (S, N, ...) of draws of f (S, N, K), NumPy."""
        return self.backward(draws.reshape(*draws.shape[:2], *shape)).astype("float32")

    def predictive(self, outputs: Any) -> Any:
        """The `Predictive` of such outputs."""
        return Predictive(outputs, self.likelihood)

    def moments(self, f: Any, shape: tuple[int, ...]) -> list[tuple[Any, Any]]:
        """(mean, variance) of y, NumPy, flat, at f (R, K), NumPy, for each output."""
        outputs = self.backward(f.reshape(len(f), *shape)).astype("float32")
        outputs = ops.convert_to_tensor(outputs)
        mean, variance = (
            ops.convert_to_numpy(ops.stop_gradient(v)).astype("float64").ravel()
            for v in (self.likelihood.mean(outputs), self.likelihood.variance(outputs))
        )
        return [(mean, variance)]

    def row_densities(self, outputs: Any, y: Any) -> Any:
        """log p(y | f) of each row (R,), with masks and without sample weights."""
        counted = self.counted(outputs, ops.ones((outputs.shape[0],)))
        densities = -self.likelihood.call(y, outputs)
        terms = ops.where(counted == 0, ops.zeros_like(densities), densities * counted)
        return ops.sum(ops.reshape(terms, (terms.shape[0], -1)), axis=1)

    def counted(self, outputs: Any, weight: Any) -> Any:
        """The weight of each observation (R, ...), masks included, as the likelihood counts it."""
        of = self.likelihood
        return ops.cast(of._weights(outputs, outputs, of._spread(weight, outputs)), "float32")

    def densities(self, f: Any, y: Any) -> Any:
        """log p(y | f) (R, ...) of each observation, from f in the shape of the outputs."""
        if not self.linked:
            return -self.likelihood.call(y, f)
        return -type(self.likelihood)().call(y, f)

    def curvature(self, f: Any, y: Any, counted: Any, shape: tuple[int, ...]) -> Any:
        """H (R, K, K), with the weights in it.

        Args:
            f: tensor (R, K).
            y: tensor (R, ...), the targets.
            counted: tensor (R, ...), the weight of each observation.
            shape: shape of one row of outputs.
        """
        factor = self._closed_factor(f, counted, shape)
        if factor is not None:
            return factor @ ops.transpose(factor, (0, 2, 1))
        if not self.linked:
            steps = f.shape[1] // (shape[-1] if shape else 1)
            outputs = ops.reshape(f, (f.shape[0], *(shape or (1,))))
            known = self.likelihood._information(y, outputs)
            if known is not None:
                return _beside_each_other(known, counted, f.shape[0], steps)

        def loss(f: Any, y: Any, counted: Any) -> Any:
            outputs = ops.reshape(f, (1, *shape))
            losses = self.likelihood.call(ops.expand_dims(y, 0), outputs)
            counted = ops.reshape(counted, losses.shape)
            return ops.sum(ops.where(counted == 0, ops.zeros_like(losses), losses * counted))

        if isinstance(self.likelihood, likelihoods.HeteroscedasticNormal):
            return self._expected(loss, f, counted, shape)
        second = backend.hessian(loss)
        return backend.vectorize(lambda row: second(*row))((f, y, counted))

    def factor(self, f: Any, y: Any, counted: Any, shape: tuple[int, ...]) -> tuple[Any, Any]:
        """(S (R, K, K) with S S^T = H, the least eigenvalue of any H)."""
        factor = self._closed_factor(f, counted, shape)
        if factor is not None:
            return factor, ops.zeros((), "float32")
        values, vectors = ops.eigh(self.curvature(f, y, counted, shape))
        return vectors * ops.sqrt(ops.maximum(values, 0.0))[:, None, :], ops.min(values)

    def _closed_factor(self, f: Any, counted: Any, shape: tuple[int, ...]) -> Any:
        width = shape[-1] if shape else 1
        steps = f.shape[1] // width
        f = ops.reshape(f, (f.shape[0], steps, width))
        root = ops.sqrt(ops.reshape(counted, (f.shape[0], steps, 1)))
        if self._classes:
            p = ops.softmax(f, axis=-1)
            half = ops.sqrt(p)
            one = half[..., :, None] * ops.eye(width) - p[..., :, None] * half[..., None, :]
            one = one * root[..., None]
        elif self._labels:
            spread = ops.sqrt(self.likelihood._information_of_natural(f))
            one = (root * spread)[..., :, None] * ops.eye(width)
        elif (inverse := self._root_information(f, width)) is not None:
            one = (root * inverse)[..., :, None] * ops.eye(width)
        else:
            return None
        if steps == 1:
            return one[:, 0]
        size = steps * width
        blocks = one[:, :, :, None, :] * ops.eye(steps)[None, :, None, :, None]
        return ops.reshape(blocks, (f.shape[0], size, size))

    def _root_information(self, f: Any, width: int) -> Any:
        """Roots of the Fisher information of locations and rho, which is diagonal; else None."""
        likelihood = self.likelihood
        if isinstance(likelihood, (likelihoods.Normal, likelihoods.Laplace)):
            # The density of Laplace has no curvature but at its peak: only its mean tells.
            location: Any = np.ones((), "float32")
            spread = location
        elif isinstance(likelihood, likelihoods.StudentT):
            df = np.asarray(likelihood.df, "float32")
            location, spread = np.sqrt((df + 1.0) / (df + 3.0)), np.sqrt(2.0 * df / (df + 3.0))
        else:
            return None
        if likelihood.scale is not None:
            root = location / np.asarray(likelihood.scale, "float32")
            return ops.convert_to_tensor(np.broadcast_to(root, (width,)))
        _, scale = likelihood._halves(f)
        slope = ops.sigmoid(f[..., width // 2 :])  # of scale by rho
        location, spread = (ops.convert_to_tensor(part) for part in (location, spread))
        return ops.concatenate([location / scale, spread * slope / scale], axis=-1)

    def _expected(self, loss: Any, f: Any, counted: Any, shape: tuple[int, ...]) -> Any:
        """The Fisher information: of a quadratic in y, the mean over one deviation each way."""
        outputs = ops.reshape(f, (f.shape[0], *shape))
        mean = self.likelihood.mean(outputs)
        spread = ops.sqrt(self.likelihood.variance(outputs))
        second = backend.hessian(loss)
        over_rows = backend.vectorize(lambda row: second(*row))
        up = over_rows((f, ops.stop_gradient(mean + spread), counted))
        down = over_rows((f, ops.stop_gradient(mean - spread), counted))
        return 0.5 * (up + down)


def _beside_each_other(known: Any, counted: Any, rows: int, steps: int) -> Any:
    """The blocks of the observations of each row, weighed, as one matrix."""
    width = known.shape[-1]
    blocks = ops.reshape(known, (rows, steps, width, width))
    blocks = blocks * ops.reshape(counted, (rows, steps, 1, 1))
    if steps == 1:
        return blocks[:, 0]
    wide = blocks[:, :, :, None, :] * ops.eye(steps)[None, :, None, :, None]
    return ops.reshape(wide, (rows, steps * width, steps * width))
