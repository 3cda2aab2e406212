"""The posterior that a fitted model with variational layers already holds."""

from typing import Any

from keras import ops

from keras_priors import backend
from keras_priors.functional.check_built import check_built
from keras_priors.functional.check_inputs import check_inputs
from keras_priors.functional.check_rows import check_rows
from keras_priors.functional.observations import Observations
from keras_priors.functional.output_likelihoods import Likelihoods
from keras_priors.inference.log_posterior import LogPosterior
from keras_priors.inference.method import Method
from keras_priors.inference.posterior import Posterior
from keras_priors.inference.variational.layers_posterior import LayersPosterior
from keras_priors.utils.export import export
from keras_priors.utils.progress import check_verbose


@export("keras_priors.inference")
class VariationalLayers(Method):
    """The posterior of a model with variational layers, as Keras' `fit` has found it.

        q(w) = prod_k q_k(w_k)

    Nothing is trained. Weights of plain layers are points.

    Example:
        >>> import keras
        >>> import keras_priors as kp
        >>> model = keras.Sequential([keras.Input((4,)), kp.VariationalDense(3, name="dense")])
        >>> posterior = kp.inference.VariationalLayers().fit(
        ...     model, likelihood=kp.likelihoods.Categorical())
        >>> posterior.draws(5, seed=0)["dense/kernel"].shape
        (5, 4, 3)
    """

    tempers = False

    def fit(
        self,
        model: Any,
        x: Any = None,
        y: Any = None,
        likelihood: Any = None,
        *,
        sample_weight: Any = None,
        seed: Any = None,
        verbose: Any = "auto",
        resume: Posterior | None = None,
        temperature: float = 1.0,
        checkpoint: Any = None,
    ) -> LayersPosterior:
        """The posterior that the layers of `model` hold.

        Args:
            model: built `keras.Model` with variational layers.
            x: inputs, or a data set, kept for the log likelihood in `to_arviz`. Defaults to None.
            y: targets. Defaults to None.
            likelihood: as in the other methods. Defaults to None: the loss that the model was
                compiled with.
            sample_weight: array (N,) or None.
            seed: without effect: nothing is drawn.
            verbose: "auto", 0 or 1; nothing takes long.
            resume: must be None.
            temperature: must be 1: that of the layers is known
                (`keras_priors.set_num_data(model, data, temperature=T)`, before `model.fit`).
            checkpoint: must be None: `keras.callbacks.BackupAndRestore` keeps `model.fit`.

        Raises:
            TypeError: `model` is not a model.
            ValueError: it is not built, has no posterior or weights that are not finite, there is
                no likelihood, or data of the wrong shape, with NaN, or without a
                density.
        """
        Method._check_made(self)
        if checkpoint is not None:
            self._check_checkpoint(checkpoint)
        self._check_temperature(temperature)
        check_verbose(verbose)
        check_built("VariationalLayers", model)
        if resume is not None:
            raise ValueError(
                "VariationalLayers reads what the model holds. Received: "
                f"resume={resume!r}. Leave it out, and go on training by `model.fit`."
            )
        backend.sync_variables(model)
        likelihoods = Likelihoods(model, likelihood)
        observations = None if x is None else Observations(x, y, sample_weight)
        posterior = LayersPosterior(model, likelihoods.structure, observations)
        posterior.check_finite()
        if observations is not None:
            check_inputs(model, observations.x)

            def log_likelihood(batch: Any) -> float:
                inputs, targets, weight = batch
                outputs = model(inputs, training=False)
                value = likelihoods.log_likelihood(targets, outputs, weight)
                return float(ops.stop_gradient(value))

            x, y, weight = observations.batch([0])
            outputs = model(x, training=False)
            likelihoods.log_likelihood(y, outputs, weight)
            check_rows(model, observations, likelihoods, outputs, log_likelihood)
        posterior.seconds = 0.0
        return posterior

    def infer(
        self, log_posterior: LogPosterior, seed: Any, verbose: Any, resume: Any
    ) -> LayersPosterior:
        raise NotImplementedError("`fit` does it: there is no log posterior of a plain model.")
