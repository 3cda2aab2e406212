# Long: one table, which is read as one.
"""What a new user does wrong, and what is said: a table to read.

Each row is a mistake, and says for each door through which it can come whether it works, is
visible (a loss or score that is NaN or infinite), warned or refused, and in which words. A door
that is left out does not see the mistake: predictions know no targets. "Keras" marks what `fit`
takes before anything of this package sees it.
"""

import functools
import re

import keras
import numpy as np
import pytest
import scipy.sparse

import keras_priors as kp
from tests._mistakes import (
    DOORS,
    ROWS,
    WIDTH,
    binary,
    changed,
    classes,
    counts,
    net,
    numbers,
    regression,
    said,
    sequences,
)

L, layers = kp.likelihoods, keras.layers
NOISE = kp.layers.NoiseScale
X, LABELS, BITS = numbers(ROWS, WIDTH), np.arange(ROWS) % 3, (np.arange(ROWS) % 2)[:, None]
COUNTS = (np.arange(ROWS) % 4).astype("float32")[:, None]


def nan_weights():
    model = net()
    model.layers[0].set_weights([np.full((WIDTH, 1), np.nan, "float32"), np.zeros(1, "float32")])
    return regression(model=model)


def frozen():
    model = net()
    model.trainable = False
    return regression(model=model)


def two_numbers():
    priors = [kp.NormalPrior(0, 1, num_data=n) for n in (ROWS, 2 * ROWS)]
    stack = [layers.Dense(1, kernel_regularizer=prior, use_bias=False) for prior in priors]
    model = keras.Sequential([keras.Input((WIDTH,)), *stack], name="net")
    return regression(model=model, num_data=None)


def not_built():
    return regression(model=keras.Sequential([layers.Dense(1)], name="net"), num_data=None)


def variational_twice():
    return regression(model=kp.to_variational(net(), num_data=ROWS))


def l2():
    return regression(model=net(prior=keras.regularizers.L2(0.1)), num_data=None)


NO_DENSITY = {
    "fit": ("visible", "inf"),
    "monitor": ("refused", "loss became inf"),
    "method": ("refused", "`y` must"),
}


def at(words, *doors, verdict="refused"):
    return dict.fromkeys(doors, (verdict, words))


TABLE = {
    # --- rows of x -------------------------------------------------------------------------------
    "NaN in x": (
        lambda: regression(x=changed(X, np.nan)),
        {
            "fit": ("visible", "nan"),
            "monitor": ("refused", "Training was stopped"),
            **at("finite", "predict", "method", "compare"),
        },
    ),
    "infinity in x": (
        lambda: regression(x=changed(X, np.inf)),
        {
            "fit": ("visible", "nan"),
            "monitor": ("refused", "Training was stopped"),
            **at("finite", "predict", "method", "compare"),
        },
    ),
    "huge x": (
        lambda: regression(x=1e30 * X),
        {
            "fit": ("visible", "inf"),
            "monitor": ("refused", "Training was stopped"),
            "method": ("refused", "huge"),
            "compare": ("visible", "inf"),
        },
    ),
    "a masked array": (
        lambda: regression(x=np.ma.masked_greater(X, 0.5)),
        {"fit": "Keras", **at("masked array with 7", "predict", "method", "compare")},
    ),
    "complex numbers": (
        lambda: regression(x=X + 1j),
        {"fit": "Keras", **at("imaginary part as columns", "predict", "method", "compare")},
    ),
    "a sparse matrix": (
        lambda: regression(x=scipy.sparse.csr_matrix(X)),
        {"fit": "Keras", **at(r"x\.toarray\(\)", "predict", "method", "compare")},
    ),
    "strings": (
        lambda: regression(x=X.astype(str)),
        {"fit": "Keras", **at("Encode categories", "predict", "method", "compare")},
    ),
    "other features": (
        lambda: regression(x=X[:, :2]),
        {"fit": "Keras", **at(r"must have the shape \(3,\)", "predict", "method", "compare")},
    ),
    "a single row": (
        lambda: regression(x=X[0]),
        {"fit": "Keras", **at(r"For a single row write x\[None\]", "predict", "compare")},
    ),
    "a list of rows": (
        lambda: regression(x=X.tolist()),
        {"fit": "Keras", **at(r"Write numpy\.array", "predict", "method", "compare")},
    ),
    "no rows": (
        lambda: regression(x=X[:0], y=numbers(0, 1)),
        {
            **at("at least 1", "fit", "monitor"),
            **at("at least one", "predict", "method", "compare"),
        },
    ),
    # --- targets ---------------------------------------------------------------------------------
    "NaN in y": (
        lambda: regression(y=changed(numbers(ROWS, 1), np.nan)),
        {**NO_DENSITY, "compare": ("refused", "NaN")},
    ),
    "label 3 of 3 classes": (
        lambda: classes(y=changed(LABELS, 3)),
        {**NO_DENSITY, "compare": ("refused", "labels from 0 to 2")},
    ),
    "label -1": (
        lambda: classes(y=changed(LABELS, -1)),
        {**NO_DENSITY, "compare": ("refused", "labels from 0 to 2")},
    ),
    "binary labels -1 and 1": (
        lambda: binary(y=2.0 * BITS - 1.0),
        {**NO_DENSITY, "compare": ("refused", "labels from 0 to 1")},
    ),
    "binary label 2": (
        lambda: binary(y=changed(BITS.astype("float32"), 2.0)),
        {**NO_DENSITY, "compare": ("refused", "labels from 0 to 1")},
    ),
    "a negative count": (
        lambda: counts(y=changed(COUNTS, -1.0)),
        {**NO_DENSITY, "compare": ("visible", "inf")},
    ),
    "half a count": (
        lambda: counts(y=changed(COUNTS, 0.5)),
        {**NO_DENSITY, "compare": ("visible", "inf")},
    ),
    "fewer targets": (
        lambda: regression(y=numbers(ROWS - 1, 1)),
        {"fit": "Keras", **at("one row for each|same number of rows", "method", "compare")},
    ),
    "two columns for one": (
        lambda: regression(y=numbers(ROWS, 2)),
        at("nothing is broadcast", "fit", "monitor", "method", "compare"),
    ),
    "labels as strings": (
        lambda: classes(y=np.array(list("abc") * 4)),
        {"fit": "Keras", **at("numpy.unique", "method", "compare")},
    ),
    "no targets": (
        lambda: regression(y=None),
        {"fit": "Keras", **at("needs targets|y", "method", "compare")},
    ),
    "one-hot for integer labels": (
        lambda: classes(y=np.eye(3, dtype="float32")[LABELS]),
        at("", "fit", "monitor", "method", "compare", verdict="works"),
    ),
    "targets without a last axis": (
        lambda: regression(y=numbers(ROWS)),
        at("", "fit", "monitor", "method", "compare", verdict="works"),
    ),
    "negative sample_weight": (
        lambda: regression(
            fitted={"sample_weight": -np.ones(ROWS)}, method={"sample_weight": -np.ones(ROWS)}
        ),
        {"fit": "Keras", "method": ("refused", "at least 0 for each row")},
    ),
    "sample_weight of other rows": (
        lambda: regression(
            fitted={"sample_weight": np.ones(3)}, method={"sample_weight": np.ones(3)}
        ),
        {"fit": "Keras", "method": ("refused", r"shape \(3,\) for 12 rows")},
    ),
    # --- num_data --------------------------------------------------------------------------------
    "num_data never given": (
        lambda: regression(num_data=None),
        {
            **at("num_data was never given", "fit", "monitor", verdict="warned"),
            "method": ("works", ""),
        },
    ),
    "num_data of a batch": (
        lambda: regression(num_data=5),
        # Plain `fit` shows a penalty no rows: the callback sees them.
        {"monitor": ("warned", "num_data is 5, .* 12 samples: the prior is too strong")},
    ),
    "num_data of two data sets": (
        two_numbers,
        {"monitor": ("warned", "num_data is 24, .* 12 samples: the prior is too weak")},
    ),
    "rows for the steps of a sequence": (
        lambda: sequences(num_data=ROWS),
        at("no multiple of the 5 terms", "fit", "monitor", verdict="warned"),
    ),
    "num_data 0": (
        lambda: regression(num_data=0),
        at("integer of at least 1", "fit", "monitor", "convert"),
    ),
    "num_data with a half": (
        lambda: regression(num_data=12.5),
        at("must be an integer", "fit", "monitor", "convert"),
    ),
    "num_data as a string": (
        lambda: regression(num_data="12"),
        at("must be an integer", "fit", "monitor", "convert"),
    ),
    # --- priors ----------------------------------------------------------------------------------
    "L2 for a prior": (
        l2,
        at("must be a prior|no prior|is none", "method", "convert"),
    ),
    "a prior of another shape": (
        lambda: regression(model=net(prior=kp.NormalPrior(np.zeros((4, 1)), 1.0))),
        at("must broadcast against the weight", "fit", "monitor", "method", "convert"),
    ),
    "scales of another shape": (
        lambda: regression(model=net(prior=kp.NormalPrior(0, np.ones(2)))),
        at("must broadcast against the weight", "fit", "monitor", "method", "convert"),
    ),
    "a positive prior over negative weights": (
        lambda: regression(model=net(prior=kp.HalfNormalPrior(1.0))),
        {
            "fit": ("visible", "inf"),
            "monitor": ("refused", "outside the support of its prior"),
            "method": ("refused", "support"),
            "convert": ("refused", "support of its prior"),
        },
    ),
    "the class of a prior": (
        lambda: regression(model=net(prior=kp.NormalPrior)),
        at("", "fit", "monitor", "method", "convert", verdict="works"),
    ),
    # --- likelihoods -----------------------------------------------------------------------------
    "mse for a likelihood": (
        lambda: regression(loss="mse"),
        {
            "fit": ("warned", "weighed against a log likelihood.*how large the noise is"),
            **at("how large the noise is", "monitor", "predict", "method", "compare"),
        },
    ),
    "logits under a loss of probabilities": (
        lambda: classes(loss="sparse_categorical_crossentropy"),
        {
            **at("from_logits=True", "fit", "monitor", verdict="warned"),
            **at("from_logits|logits", "predict", "compare"),
        },
    ),
    "binary logits under a loss of probabilities": (
        lambda: binary(loss="binary_crossentropy"),
        {
            **at("from_logits=True", "fit", "monitor", verdict="warned"),
            **at("from_logits|logits", "predict", "compare"),
        },
    ),
    "a linear output under poisson": (
        lambda: counts(loss="poisson"),
        {
            "fit": ("warned", "takes rates"),
            **at("rate|nan", "predict", "compare"),
        },
    ),
    "Categorical on a softmax": (
        lambda: classes(model=net(3, "softmax")),
        at("takes logits", "fit", "monitor", "predict", "method", "compare", verdict="warned"),
    ),
    "Bernoulli on a sigmoid": (
        lambda: binary(model=net(1, "sigmoid")),
        at("takes logits", "fit", "monitor", "predict", "method", "compare", verdict="warned"),
    ),
    "Poisson on an exponential": (
        lambda: counts(model=net(1, "exponential")),
        at("logarithm", "fit", "monitor", "predict", "method", "compare", verdict="warned"),
    ),
    "Categorical of one output": (
        lambda: classes(model=net(1)),
        at(r"Bernoulli\(\)", "fit", "monitor", "method", "compare"),
    ),
    "means without scales": (
        lambda: regression(loss=L.HeteroscedasticNormal()),
        at("must be a multiple of 2", "fit", "monitor", "predict", "method", "compare"),
    ),
    "mse behind NoiseScale": (
        lambda: regression(loss="mse", model=net(1, None, NOISE())),
        {
            **at("HeteroscedasticNormal", "fit", "monitor"),
            **at("how large the noise is", "predict", "method", "compare"),
        },
    ),
    "Normal behind NoiseScale": (
        lambda: regression(model=net(1, None, NOISE())),
        at("nothing is broadcast", "fit", "monitor", "method", "compare"),
    ),
    "the class of a likelihood": (
        lambda: regression(loss=L.Normal),
        at("", "fit", "monitor", "predict", "method", "compare", verdict="works"),
    ),
    "no loss": (
        lambda: regression(loss=None),
        at("loss of a compiled model|compiled without a loss", "predict", "method", "compare"),
    ),
    "loss_weights": (
        lambda: regression(compiled={"loss_weights": [3.0]}),
        {"fit": ("works", ""), **at("loss_weights", "monitor", "method")},
    ),
    "class_weight": (
        lambda: classes(fitted={"class_weight": {0: 1.0, 1: 5.0, 2: 1.0}}),
        {"fit": ("works", ""), "monitor": ("warned", "class_weight")},
    ),
    "mae beside a scale": (
        lambda: regression(
            loss=L.HeteroscedasticNormal(),
            model=net(1, None, NOISE()),
            compiled={"metrics": ["mae"]},
        ),
        at("LikelihoodMean", "fit", "monitor", verdict="warned"),
    ),
    # --- models ----------------------------------------------------------------------------------
    "a model that is not built": (
        not_built,
        at("built", "predict", "method", "compare", "convert"),
    ),
    "a layer for a model": (
        lambda: regression(model=layers.Dense(1)),
        {"fit": "Keras", **at("keras.Model", "predict", "method", "compare", "convert")},
    ),
    "weights that are NaN": (
        nan_weights,
        {
            "fit": ("visible", "nan"),
            "monitor": ("refused", "not finite"),
            **at("must be finite", "predict", "method", "compare"),
        },
    ),
    "a frozen model": (
        frozen,
        {"fit": "Keras", **at("trainable = True", "method", "convert")},
    ),
    "a conversion of what is converted": (
        variational_twice,
        at("not variational yet", "convert"),
    ),
}

CELLS = [(mistake, door) for mistake, (_, doors) in TABLE.items() for door in doors]


@pytest.mark.parametrize(("mistake", "door"), CELLS, ids=[f"{m} - {d}" for m, d in CELLS])
def test_it_is_said(mistake, door):
    job, doors = TABLE[mistake]
    if doors[door] == "Keras":
        pytest.skip("fit of Keras itself, which nothing of this package is asked by")
    expected, words = doors[door]
    verdict, message = said(door, job)
    assert verdict == expected, message
    if expected != "works":
        assert re.search(words, message, re.DOTALL), message


def test_no_row_is_silent():
    for mistake, (_, doors) in TABLE.items():
        assert set(doors) <= set(DOORS), mistake
        works = all(cell != "Keras" and cell[0] == "works" for cell in doors.values())
        spoken = any(cell != "Keras" and cell[0] != "works" for cell in doors.values())
        assert works or spoken, mistake


@functools.cache
def fitted():
    job = regression()
    return kp.inference.Laplace().fit(job.model, job.x, job.y, job.loss, verbose=0)


def variable():
    return keras.Variable(1.0)


def save_and_load(name, content=b"nothing"):
    import pathlib
    import tempfile

    path = pathlib.Path(tempfile.mkdtemp()) / name
    path.write_bytes(content)
    return kp.inference.Posterior.load(path)


def resume_on_other_data():
    job = regression()
    method = kp.inference.SGLD(num_burnin=2, num_samples=2, num_chains=1)
    with pytest.warns(UserWarning, match="2 draws of SGLD a chain are too few"):
        first = method.fit(job.model, job.x, job.y, job.loss, seed=0, verbose=0)
    method.fit(job.model, job.x, -job.y, job.loss, seed=0, verbose=0, resume=first)


def callbacks_of(callback, **changes):
    job = regression(**changes)
    job.model.compile("sgd", loss=job.loss)
    kp.set_num_data(job.model, ROWS)
    job.model.fit(job.x, job.y, verbose=0, callbacks=[callback])


# What is called, whether it is refused (with what) or warned, and the words.
ARGUMENTS = {
    # --- priors and likelihoods ------------------------------------------------------------------
    "a scale of 0": (lambda: kp.NormalPrior(0, 0.0), ValueError, "greater than 0|positive"),
    "a negative scale": (lambda: kp.LaplacePrior(0, -1.0), ValueError, "greater than 0|positive"),
    "a scale that is NaN": (lambda: kp.NormalPrior(0, np.nan), ValueError, "nan"),
    "a scale as a string": (lambda: kp.NormalPrior(0, "0.1"), (TypeError, ValueError), "0.1"),
    "a variable for a scale": (
        lambda: kp.StudentTPrior(3.0, 0.0, variable()),
        TypeError,
        "constant",
    ),
    "a variable for a noise": (lambda: L.Normal(variable()), TypeError, "constant"),
    "a noise of 0": (lambda: L.Normal(0.0), ValueError, "greater than 0|positive"),
    "bounds the wrong way round": (lambda: kp.UniformPrior(1.0, 0.0), ValueError, "high"),
    "a likelihood by a wrong name": (lambda: L.get("gaussian"), ValueError, "gaussian"),
    "a prior as the noise": (lambda: NOISE(prior=kp.NormalPrior(0, 1)), ValueError, "positive"),
    # --- layers and conversion -------------------------------------------------------------------
    "two priors for one kernel": (
        lambda: kp.VariationalDense(
            1, kernel_prior=kp.NormalPrior(0, 1), kernel_regularizer=kp.NormalPrior(0, 1)
        ),
        ValueError,
        "kernel",
    ),
    "an estimator by a wrong name": (
        lambda: kp.VariationalDense(1, estimator="flip_out"),
        ValueError,
        "flipout",
    ),
    "a posterior by a wrong name": (
        lambda: kp.VariationalDense(1, kernel_posterior="normal"),
        ValueError,
        "mean_field",
    ),
    "a normal over a positive weight": (
        lambda: kp.VariationalDense(1, kernel_prior=kp.HalfNormalPrior(1.0)).build((None, 2)),
        ValueError,
        "LogNormal",
    ),
    "a seed with a half": (
        lambda: kp.VariationalDense(1, seed=0.5),
        (TypeError, ValueError),
        "seed",
    ),
    "a layer that is not there": (
        lambda: kp.to_variational(net(), layers="dense_of_another"),
        ValueError,
        "there are",
    ),
    "a pattern that is not there": (
        lambda: kp.set_priors(net(), {"*gamma": kp.NormalPrior(0, 1)}),
        ValueError,
        "gamma",
    ),
    "L2 as a rule": (
        lambda: kp.set_priors(net(), {"*": keras.regularizers.L2(0.1)}),
        TypeError,
        r"NormalPrior\(0, scale\)",
    ),
    "set_num_data without priors": (
        lambda: kp.set_num_data(keras.Sequential([keras.Input((2,)), layers.Dense(1)]), 5),
        ValueError,
        "no.* found|none was found",
    ),
    # --- methods ---------------------------------------------------------------------------------
    "fit on the class": (
        lambda: kp.inference.Laplace.fit(net(), X, numbers(ROWS, 1), L.Normal(1.0)),
        TypeError,
        r"Laplace\(\)",
    ),
    "no draws": (lambda: kp.inference.SGLD(num_samples=0), ValueError, "num_samples"),
    "a negative rate": (lambda: kp.inference.SGLD(learning_rate=-0.1), ValueError, "learning_rate"),
    "one member": (lambda: kp.inference.DeepEnsemble(num_members=0), ValueError, "num_members"),
    "a structure by a wrong name": (lambda: kp.inference.Laplace("diag"), ValueError, "diagonal"),
    "a negative seed": (
        lambda: kp.inference.MAP().fit(net(), X, numbers(ROWS, 1), L.Normal(1.0), seed=-1),
        ValueError,
        "seed",
    ),
    "classes by the probit of a regression": (
        lambda: fitted().predict(X, method="probit"),
        ValueError,
        "classes",
    ),
    "other data in resume": (resume_on_other_data, ValueError, "resume"),
    "MCDropout without dropout": (
        lambda: kp.inference.MCDropout().fit(net(), X, numbers(ROWS, 1), L.Normal(1.0), verbose=0),
        ValueError,
        "Dropout",
    ),
    # --- predictions -----------------------------------------------------------------------------
    "no samples": (lambda: kp.predict(net(), X, num_samples=0), ValueError, "num_samples"),
    "an interval in per cent": (
        lambda: kp.predict(net(), X, likelihood=L.Normal(1.0), verbose=0).interval(95),
        ValueError,
        "95",
    ),
    "probabilities of a regression": (
        lambda: kp.predict(net(), X, likelihood=L.Normal(1.0), verbose=0).probabilities,
        ValueError,
        "Categorical|classes|probabilit",
    ),
    "compare of a list": (lambda: kp.compare([net()], X, numbers(ROWS, 1)), TypeError, "mapping"),
    "compare of nothing": (lambda: kp.compare({}, X, numbers(ROWS, 1)), ValueError, "at least one"),
    "more draws than there are": (
        lambda: (
            kp.inference.MAP().fit(net(), X, numbers(ROWS, 1), L.Normal(1.0), verbose=0).draws(2)
        ),
        ValueError,
        "at most the number of stored draws",
    ),
    # --- files -----------------------------------------------------------------------------------
    "a file that is none": (lambda: save_and_load("it.posterior"), ValueError, "it.posterior"),
    "another suffix": (lambda: fitted().save("it.keras"), ValueError, r"\.posterior"),
    # --- callbacks -------------------------------------------------------------------------------
    "annealing without a KL": (
        lambda: callbacks_of(kp.callbacks.KLAnnealing("linear")),
        ValueError,
        "variational",
    ),
    "draws of a plain optimizer": (
        lambda: callbacks_of(kp.callbacks.CollectDraws(burnin=0)),
        (ValueError, UserWarning),
        "SGLD|optimizer",
    ),
}


@pytest.mark.parametrize("mistake", ARGUMENTS)
def test_an_argument_is_refused(mistake):
    call, errors, words = ARGUMENTS[mistake]
    with pytest.raises(errors, match=f"(?s){words}"):
        call()


@pytest.mark.parametrize("sampler", ["NUTS", "HMC"])
def test_what_a_backend_cannot_do_names_those_that_can(sampler):
    if keras.backend.backend() != "torch":
        pytest.skip("it can")
    method = getattr(kp.inference, sampler)()
    with pytest.raises(NotImplementedError, match="TensorFlow or the JAX"):
        method.fit(net(), X, numbers(ROWS, 1), L.Normal(1.0), verbose=0)
