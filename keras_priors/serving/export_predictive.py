"""A file of the posterior predictive for other runtimes."""

import os
import pathlib
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np

from keras_priors import backend
from keras_priors.functional.check_activations import check_activations
from keras_priors.functional.check_built import check_built
from keras_priors.functional.check_finite_weights import check_finite_weights
from keras_priors.functional.forward import draws_at_seeds, random_posteriors
from keras_priors.functional.likelihood_of import likelihood_of
from keras_priors.functional.output_likelihoods import given_likelihoods
from keras_priors.inference.ensembles.mc_dropout_posterior import MCDropoutPosterior
from keras_priors.inference.laplace.laplace_posterior import LaplacePosterior
from keras_priors.inference.posterior import Posterior
from keras_priors.serving.mixture_quantile import has_quantile
from keras_priors.serving.served_model import served_model
from keras_priors.serving.statistics_of import is_of_classes, statistics_of
from keras_priors.utils.export import export
from keras_priors.utils.keras_internals import functional_graph
from keras_priors.utils.parameters import whole_number

_SUFFIXES = {"tf_saved_model": "", "onnx": ".onnx", "litert": ".tflite", "torch": ".pt2"}
# By backend, for the message where this one has it not.
_WRITERS = {
    "tf_saved_model": "TensorFlow or JAX",
    "onnx": "TensorFlow or PyTorch",
    "litert": "TensorFlow",
    "torch": "PyTorch",
}
_DEFAULT_SAMPLES, _DEFAULT_QUANTILES = 32, (0.05, 0.5, 0.95)


@export("keras_priors")
def export_predictive(
    model_or_posterior: Any,
    path: Any,
    num_samples: int | None = None,
    format: str = "tf_saved_model",
    *,
    likelihood: Any = None,
    quantiles: Sequence[float] | None = None,
    seed: Any = None,
    input_signature: Any = None,
    overwrite: bool = False,
) -> None:
    """Write a file that serves the posterior predictive, without keras_priors.

        p(y* | x*) = mean_s p(y* | f(x*; w_s)),   s = 1 ... num_samples

    The draws w_s are taken once and stored in the file, which runs the model at all of them and
    has their statistics for outputs. They are the draws of `keras_priors.predict(model, x,
    num_samples, seed=seed)`, or of `posterior.predict` (of a `LaplacePosterior` with
    method="mc"). What all draws have in common, such as the layers below a last layer with a
    posterior, is stored once and runs once. `model.export`, in contrast, serves the outputs at
    the posterior mean.

    Outputs, by name, N rows:

    - of numbers `mean`, `std`, `epistemic`, `aleatoric`, each (N, ..., d), and `quantiles`
      (N, ..., d, Q);
    - of classes `probabilities` (N, ..., C), or (N, ..., d) of `Bernoulli`, and in nats `entropy`,
      `expected_entropy`, `mutual_information`.

    Each is what `Predictive` says by that name, in float32. Quantiles are those of the mixture, by
    halvings of an interval around those of all draws: to about 1e-6 standard deviations, or, in
    the tail of a distribution whose distribution function is not elementary, a change of 6e-6 in
    the probability; of counts the least with F(y) >= q. `Predictive.quantile` estimates the same by
    sampling, with an error of 0.03 standard deviations at 5%.

    | format | file | TensorFlow | JAX | PyTorch |
    |---|---|---|---|---|
    | "tf_saved_model" | folder, for `tf.saved_model.load` and TF Serving | yes | yes | no |
    | "onnx" | .onnx, for ONNX Runtime | yes | no | yes |
    | "litert" | .tflite, for LiteRT | yes | no | no |
    | "torch" | .pt2, for `torch.export.load` | no | no | yes |

    A model or posterior that is saved can be loaded under another backend and exported there.
    Draws run side by side where the backend can vectorize them, and one after another where not:
    convolutions on TensorFlow, and all layers from PyTorch to ONNX, whose graph is then
    `num_samples` times as large.

    Args:
        model_or_posterior: a built `keras.Model`, or an `inference.Posterior`. A model without
            variational layers gives its one point estimate, S = 1.
        path: str or `pathlib.Path`, with the ending above; of a SavedModel, a folder.
        num_samples: integer S. Defaults to None: 32, or all draws that there are if they are fewer.
        format: str, see above. Defaults to "tf_saved_model".
        likelihood: a likelihood, its name or config; for several outputs, their structure, with one
            for each; names then begin with that of the output: "price_mean". Defaults to None: that
            of the posterior, or the loss that the model was compiled with.
        quantiles: sequence of numbers between 0 and 1; () for none. Defaults to None: 0.05, 0.5
            and 0.95, and none of classes.
        seed: integer, `keras.random.SeedGenerator` or None for fresh draws. Defaults to None.
        input_signature: structure of `keras.InputSpec` with a batch size of None, the one argument
            of the model. Defaults to None: the inputs of a functional or sequential model.
        overwrite: bool. Whether to replace a file, or the folder of a SavedModel. Defaults to
            False. What is there is replaced when the new one is whole, and not before.

    Raises:
        TypeError: neither a model nor a posterior.
        ValueError: an unknown format, a path with another ending, a model that is not built or
            whose inputs are unknown, weights that are not finite, no likelihood, quantiles outside
            (0, 1) or of classes, more samples than draws.
        FileExistsError: there is something at `path`.
        NotImplementedError: a format that this backend cannot write; quantiles of angles
            (`VonMises`), which depend on where the circle is cut, or of a likelihood of one's own;
            `MCDropout`, whose draws are masks.

    Warns:
        UserWarning: as `keras_priors.predict`; of a `LaplacePosterior`, where the network at draws
            parts from the linearized one.

    Example:
        >>> import os, tempfile
        >>> import keras
        >>> import keras_priors as kp
        >>> model = keras.Sequential([keras.Input((2,)), kp.VariationalDense(3, num_data=100)])
        >>> model.compile(loss=kp.likelihoods.Categorical())
        >>> format, name = "tf_saved_model", "served"
        >>> if keras.config.backend() == "torch":
        ...     format, name = "onnx", "served.onnx"
        >>> path = os.path.join(tempfile.mkdtemp(), name)
        >>> kp.export_predictive(model, path, num_samples=4, format=format, seed=0)
        >>> os.path.exists(path)
        True

    Elsewhere `tf.saved_model.load(path).serve(x)["mutual_information"]`, or
    `onnxruntime.InferenceSession(path).run(["mutual_information"], {"x": x})`.

    References:
        - Depeweg et al., 2018, Decomposition of uncertainty in Bayesian deep learning, sections
          3.1 and 3.2, arXiv:1710.07283.
    """
    place = _checked_place(path, format, overwrite)
    posterior = model_or_posterior if isinstance(model_or_posterior, Posterior) else None
    model = model_or_posterior if posterior is None else posterior.model
    check_built("export_predictive", model)
    likelihood = _likelihoods_of(model, posterior, likelihood)
    quantiles = _checked_quantiles(quantiles, keras.tree.flatten(likelihood))
    graph = functional_graph(model) if getattr(model, "inputs", None) else None
    signature = _signature_of(model, graph, input_signature)
    if graph is not None:  # else it is seen when the model is run
        list(_each(model, graph.output, likelihood))
    check_activations(model, likelihood)
    backend.sync_variables(model)
    targets, values = _draws_of(model, posterior, num_samples, seed)

    def statistics(outputs: Any) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, output, one in _each(model, outputs, likelihood):
            of_output = statistics_of(one, output, quantiles)
            found |= {name + statistic: value for statistic, value in of_output.items()}
        return found

    served = served_model(model, targets, values, statistics, format)
    _write(served, place, format, signature)


def _draws_of(model: Any, posterior: Any, num_samples: Any, seed: Any) -> tuple[Any, Any]:
    """What the draws stand in for, and the draws of each."""
    if posterior is None:
        check_finite_weights(model)
        number = _DEFAULT_SAMPLES if num_samples is None else num_samples
        number = whole_number("export_predictive", "num_samples", number)
        count = number if random_posteriors(model) else 1
        return draws_at_seeds(model, backend.spawn_seeds(seed, count))
    if isinstance(posterior, MCDropoutPosterior):
        raise NotImplementedError(
            "A file has draws of weights. Received: an MCDropoutPosterior, whose draws are masks "
            "on inputs, which no backend and no format can store. Serve `posterior.predict` from "
            "Python, or fit another method, such as keras_priors.inference.DeepEnsemble()."
        )
    if isinstance(posterior, LaplacePosterior):
        posterior._warn_where_draws_part()
    targets = posterior._targets
    taken = {id(target) for target in targets}
    check_finite_weights(model, [v for v in model.variables if id(v) not in taken])
    handles = posterior._handles(posterior._num_samples(num_samples, _DEFAULT_SAMPLES), seed)
    return targets, posterior._values(handles)


def _likelihoods_of(model: Any, posterior: Any, likelihood: Any) -> Any:
    found = given_likelihoods(likelihood)
    if found is None and posterior is not None:
        found = posterior.likelihood
    found = likelihood_of(model) if found is None else found
    if None in keras.tree.flatten(found):
        raise ValueError(
            "Each output needs a likelihood: what is served is y*, and not the outputs. Received: "
            f"likelihood={found!r}. Give one for each, or export a model that ends at the others."
        )
    return found


def _checked_quantiles(quantiles: Any, likelihoods: Sequence[Any]) -> tuple[float, ...]:
    of_numbers = [one for one in likelihoods if not is_of_classes(one)]
    if quantiles is None:
        quantiles = _DEFAULT_QUANTILES if of_numbers else ()
    q = np.asarray(quantiles, "float64")
    if q.ndim != 1 or not np.all((q > 0.0) & (q < 1.0)):
        raise ValueError(
            "`quantiles` must be a sequence of numbers between 0 and 1, both excluded. "
            f"Received: quantiles={quantiles!r}. For the median write quantiles=[0.5], for none ()."
        )
    if len(q) and not of_numbers:
        raise ValueError(
            "Quantiles need outcomes with an order. Received: "
            f"quantiles={quantiles!r} for {likelihoods[0]!r}, whose outcomes are classes. Leave "
            "`quantiles` out: the file has their probabilities and entropy."
        )
    without = [one for one in of_numbers if not has_quantile(one)]
    if len(q) and without:
        raise NotImplementedError(
            "Quantiles in a file are those of each likelihood of keras_priors but VonMises, whose "
            "angles have no order, and of none of one's own, whose distribution function no "
            f"backend is told. Received: {without[0]!r}. Write quantiles=() for mean and std "
            "alone, or serve `Predictive.quantile` from Python."
        )
    return tuple(float(each) for each in q)


def _signature_of(model: Any, graph: Any, given: Any) -> Any:
    """`keras.InputSpec` of the one argument of the model, in its structure."""
    if given is None:
        if graph is None:
            raise ValueError(
                "The shapes of the inputs must be known. Received: "
                f"{model.name!r}, a subclassed model, without `input_signature`. Give it: "
                'input_signature=keras.InputSpec(shape=(None, 3), dtype="float32").'
            )
        given = graph.input

    def spec_of(x: Any) -> Any:
        if getattr(x, "shape", None) is None or getattr(x, "dtype", None) is None:
            raise ValueError(
                "`input_signature` must be a keras.InputSpec with a shape and a dtype, or a "
                f"structure of them. Received: {x!r}. Write "
                'keras.InputSpec(shape=(None, 3), dtype="float32").'
            )
        dtype = keras.backend.standardize_dtype(x.dtype)
        return keras.InputSpec(shape=(None, *x.shape[1:]), dtype=dtype, name=x.name)

    return keras.tree.map_structure(spec_of, given)


def _each(model: Any, outputs: Any, likelihood: Any) -> Iterator[tuple[str, Any, Any]]:
    """(beginning of the names, draws of the output, its likelihood) of each output."""
    if not keras.tree.is_nested(outputs):
        if keras.tree.is_nested(likelihood):
            raise ValueError(
                f"{model.name!r} has one output, so it takes one likelihood. "
                f"Received: likelihood={likelihood!r}."
            )
        yield "", outputs, likelihood
        return
    by_name = isinstance(outputs, dict)
    same = (
        isinstance(likelihood, dict) and sorted(likelihood) == sorted(outputs)
        if by_name
        else isinstance(likelihood, (list, tuple)) and len(likelihood) == len(outputs)
    )
    if not same:
        raise ValueError(
            f"`likelihood` must have the structure of the outputs of {model.name!r}, with a "
            f"likelihood at each. Received: likelihood={likelihood!r} for "
            f"{sorted(outputs) if by_name else len(outputs)} outputs."
        )
    for key in outputs if by_name else range(len(outputs)):
        yield f"{key if by_name else f'output_{key}'}_", outputs[key], likelihood[key]


def _checked_place(path: Any, format: str, overwrite: bool) -> pathlib.Path:
    if format not in _SUFFIXES:
        raise ValueError(
            f"`format` must be one of {sorted(_SUFFIXES)}. Received: format={format!r}."
        )
    if format not in backend.export_formats():
        raise NotImplementedError(
            f"The format {format!r} is written by {_WRITERS[format]}. Received: the backend "
            f"{keras.config.backend()!r}, which writes {', '.join(backend.export_formats())}. "
            "Save the model or the posterior, and load and export it under another KERAS_BACKEND."
        )
    place, suffix = pathlib.Path(path), _SUFFIXES[format]
    if suffix and place.suffix != suffix:
        raise ValueError(
            f"`path` of the format {format!r} must end in {suffix!r}. Received: path={str(path)!r}."
        )
    empty = place.is_dir() and not any(place.iterdir())
    if os.path.lexists(place) and not (empty and not suffix):
        # A folder is deleted only where it is what would be written again.
        same = (place / "saved_model.pb").is_file() if not suffix else place.is_file()
        if not (overwrite and same):
            raise FileExistsError(
                f"`path` must be a place where nothing is yet. Received: path={str(path)!r}, "
                + (
                    "where there is a file of this format. Give another path, or overwrite=True."
                    if same
                    else "where there is something else. Give another path."
                )
            )
    return place


def _write(served: Any, place: pathlib.Path, format: str, signature: Any) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    # Beside the place: what is moved within one file system is there whole or not at all.
    with tempfile.TemporaryDirectory(dir=place.parent, prefix=".export_") as folder:
        new = pathlib.Path(folder) / f"new{_SUFFIXES[format]}"
        backend.export_model(served, str(new), format, signature)
        if place.is_dir():
            place.rename(pathlib.Path(folder) / "old")
        os.replace(new, place)
