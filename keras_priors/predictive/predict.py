"""The posterior predictive of a model."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_priors import backend
from keras_priors.functional.check_finite_weights import check_finite_weights
from keras_priors.functional.forward import forward_of, random_posteriors
from keras_priors.functional.output_likelihoods import given_likelihoods
from keras_priors.functional.results import Results
from keras_priors.functional.row_blocks import chunk_rows, draws_per_call
from keras_priors.functional.rows import Rows
from keras_priors.predictive.wrap import wrap
from keras_priors.utils.export import export
from keras_priors.utils.parameters import whole_number
from keras_priors.utils.progress import Progress, check_verbose


@export("keras_priors")
def predict(
    model: Any,
    x: Any,
    num_samples: int = 100,
    likelihood: Any = None,
    batch_size: int | None = None,
    seed: Any = None,
    verbose: Any = "auto",
    *,
    out: Any = None,
) -> Any:
    """The posterior predictive of `model` at `x`, from draws of its weights.

        f_s = model(x; w_s),   w_s ~ q(w),   s = 1 ... num_samples

    Each w_s is one draw of every weight, used for all rows and for every call of a shared layer.
    Everything else is as in `model.predict`: Dropout is off, batch normalization uses its moving
    statistics. A model without variational layers gives its one point estimate, S = 1.

    The loop over draws is compiled, once for each model and shape of a chunk (on PyTorch it runs
    eagerly); later calls see weights that were trained in between. Chunks of rows are chosen so
    that activations take about 256 MiB at most.

    Args:
        model: a built `keras.Model`.
        x: what the model takes: an array, a list or dictionary of arrays, or a
            `tf.data.Dataset`, `PyDataset` or PyTorch `DataLoader` of batches of x or (x, y),
            which is read once.
        num_samples: integer, number S of draws. Defaults to 100.
        likelihood: a likelihood, its name or config, or a stock loss that is one. Defaults to
            None: the loss that the model was compiled with. Where that is no likelihood
            ("mse"), the draws are there, and what needs a likelihood says so when it is asked.
            For a model with several outputs, the structure of its outputs.
        batch_size: integer, most rows in a chunk. Defaults to None: as memory bears. The result
            does not depend on it; a small one is slow, because each chunk draws the weights
            anew.
        seed: integer, `keras.random.SeedGenerator` or None for a fresh one. The first draws of
            a longer run with the same integer are those of a shorter one. Defaults to None.
        verbose: "auto" shows a progress bar when it takes longer than about two seconds, 1
            always, 0 never. Defaults to "auto".
        out: path of a `.npy` file for the draws (S, N, ...), where they do not fit in memory: they
            are written chunk by chunk, and the `Predictive` reads them from there. An `x` that is
            memory-mapped (float32) or a data set is read chunk by chunk too. A data set writes its
            draws twice, as it does not say how many rows it has. A file of that name is replaced,
            once all is written. For several outputs the structure of them, with a path at each.
            Defaults to None: in memory.

    Returns:
        A `keras_priors.Predictive`; for a model with several outputs, the structure of its
        outputs with a `Predictive` at each.

    Raises:
        TypeError: `model` is no Keras model, `x` is no data, or `out` no path.
        OSError: the disk of `out` is too small.
        ValueError: `num_samples` below 1, a model that is not built, inputs of the wrong shape,
            weights that are NaN or infinite, a `likelihood` that is none, or that takes
            probabilities or rates and gets none; an `out` that does not end in .npy, or has
            not a path for each output.

    Warns:
        UserWarning: the last activation of the model does not fit the likelihood: a softmax before
            one that takes logits, none before one that takes probabilities.

    Example:
        >>> import keras, numpy as np
        >>> import keras_priors as kp
        >>> model = keras.Sequential([keras.Input((2,)), kp.VariationalDense(1, num_data=100)])
        >>> predictive = kp.predict(model, np.ones((5, 2)), num_samples=20, seed=0,
        ...                         likelihood=kp.likelihoods.Normal(scale=0.1))
        >>> predictive.draws.shape, predictive.mean.shape
        ((20, 5, 1), (5, 1))
        >>> bool(np.all(predictive.std > 0.1))
        True

    References:
        - Blundell et al., 2015, Weight uncertainty in neural networks, equation 7's average over
          draws, arXiv:1505.05424.
    """
    _check_model(model)
    num_samples = whole_number("predict", "num_samples", num_samples)
    if batch_size is not None:
        batch_size = whole_number("predict", "batch_size", batch_size)
    check_verbose(verbose)
    likelihood = given_likelihoods(likelihood)
    rows = Rows(x, model)
    backend.sync_variables(model)
    check_finite_weights(model)
    seeds = backend.spawn_seeds(seed, num_samples if random_posteriors(model) else 1)
    outputs = _draw(model, rows, seeds, batch_size, verbose, out)
    return wrap(model, outputs, likelihood)


def _draw(
    model: Any, rows: Rows, seeds: Any, batch_size: int | None, verbose: Any, out: Any
) -> Any:
    size = chunk_rows(model, rows.first, rows.count, batch_size)
    forward = forward_of(model)
    num_draws = len(seeds)
    group = draws_per_call(model, rows.first, size, num_draws)
    calls = -(-num_draws // group)
    # The last call is filled up with seeds whose draws are dropped.
    padded = [
        ops.convert_to_tensor(part, dtype="uint32")
        for part in np.split(np.resize(seeds, (calls * group, 2)), calls)
    ]
    target = None if rows.count is None else calls * -(-rows.count // size)
    progress = Progress(target, verbose)
    with Results(num_draws, rows.count, out) as results:
        for chunk, valid in rows.chunks(size):
            tensors = backend.place_batch(chunk)
            for k, part in enumerate(padded):
                results.write(forward(part, tensors), k * group, valid)
                progress.step()
            results.next_chunk(valid)
        progress.close()
        return results.outputs()


def _check_model(model: Any) -> None:
    if not isinstance(model, keras.Model):
        raise TypeError(
            "`model` must be a keras.Model. "
            f"Received: {model!r} of type {type(model).__name__}. Put layers in a "
            "keras.Sequential."
        )
    if not model.built:
        raise ValueError(
            "`model` must be built before it can predict: it has no weights yet. Received: "
            f"{model.name!r}, not built. Call it once on some rows, begin it with keras.Input, "
            "or fit it."
        )
