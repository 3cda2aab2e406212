"""A file that serves says what `predict` says, in the runtime of its format."""

import os
import pathlib
import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest

import keras_priors as kp
from keras_priors import backend as kp_backend
from tests.serving._models import (
    DRAWS,
    classifier,
    ensemble,
    laplace,
    plain,
    regressor,
    rows,
    sampled,
)
from tests.serving._runtimes import SUFFIXES, WRITTEN, load
from tests.serving.test_statistics_of import exact_quantiles

KINDS = {"regressor": regressor, "classifier": classifier, "laplace": laplace, "ensemble": ensemble}
FIRST = WRITTEN[keras.backend.backend()][0]
ALL = [(kind, target) for target in WRITTEN[keras.backend.backend()] for kind in KINDS]


def of(predictive, name):
    if name.endswith("quantiles"):
        return exact_quantiles(predictive, (0.05, 0.5, 0.95))
    return getattr(predictive, name)


def check(found, predictive):
    """All outputs of a file, within 1e-5 of their scale: of entropies a nat."""
    numbers = isinstance(
        predictive.likelihood, (kp.likelihoods.Normal, kp.likelihoods.HeteroscedasticNormal)
    )
    of_numbers = ["aleatoric", "epistemic", "mean", "quantiles", "std"]
    of_classes = ["entropy", "expected_entropy", "mutual_information", "probabilities"]
    assert sorted(found) == (of_numbers if numbers else of_classes)
    for name, value in found.items():
        expected = of(predictive, name)
        assert value.shape == expected.shape
        assert value.dtype == np.float32
        scale = 1.0 if "entropy" in name or "mutual" in name else np.abs(expected).max()
        np.testing.assert_allclose(value, expected, rtol=0, atol=1e-5 * scale)


def exported(source, tmp_path, target=FIRST, **options):
    path = tmp_path / f"served{SUFFIXES[target]}"
    kp.export_predictive(source, path, DRAWS, target, seed=3, **options)
    return path


def predicted(source, x):
    if isinstance(source, keras.Model):
        return kp.predict(source, x, DRAWS, seed=3, verbose=0)
    options = {"method": "mc"} if isinstance(source, kp.inference.LaplacePosterior) else {}
    return source.predict(x, DRAWS, seed=3, verbose=0, **options)


def shape_of(source):
    return (source if isinstance(source, keras.Model) else source.model).input_shape[1:]


def test_a_file_says_what_predict_says(tmp_path):
    source = classifier()
    run = load(exported(source, tmp_path), FIRST)
    for n in (1, 7):
        x = rows(n, *shape_of(source))
        check(run(x), predicted(source, x))


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "target"), ALL)
def test_all_formats(kind, target, tmp_path):
    source = KINDS[kind]()
    run = load(exported(source, tmp_path, target), target)
    for n in (1, 7, 100):
        x = rows(n, *shape_of(source))
        check(run(x), predicted(source, x))


def two_ways():
    """Two inputs by name, numbers and a class for outputs."""
    left, right = keras.Input((2,), name="left"), keras.Input((3,), name="right")
    both = keras.layers.Concatenate()([left, right])
    hidden = kp.VariationalDense(4, activation="tanh", num_data=20)(both)
    outputs = {
        "price": kp.VariationalDense(1, num_data=20)(hidden),
        "sold": kp.VariationalDense(1, num_data=20)(hidden),
    }
    model = keras.Model({"left": left, "right": right}, outputs, name="two_ways")
    likelihood = {"price": kp.likelihoods.Normal(0.2), "sold": kp.likelihoods.Bernoulli()}
    model.compile(loss=likelihood)
    return model


@pytest.mark.slow
@pytest.mark.parametrize("target", WRITTEN[keras.backend.backend()])
def test_several_inputs_and_outputs(target, tmp_path):
    model = two_ways()
    run = load(exported(model, tmp_path, target), target)
    x = {"left": rows(7, 2), "right": rows(7, 3)}
    predictive = kp.predict(model, x, DRAWS, seed=3, verbose=0)
    found = run(x["left"], x["right"])
    for output, one in predictive.items():
        start = f"{output}_"
        check({k[len(start) :]: v for k, v in found.items() if k.startswith(start)}, one)
    assert len(found) == 9


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__(name="subclassed")
        self.one = kp.VariationalDense(2, num_data=10)

    def call(self, x):
        return [self.one(x), self.one(2.0 * x)]


@pytest.mark.slow
def test_a_subclassed_model_with_a_list_of_outputs(tmp_path):
    model = Subclassed()
    x = rows(7, 3)
    model(x)
    likelihood = [kp.likelihoods.HeteroscedasticNormal(), kp.likelihoods.Categorical()]
    signature = keras.InputSpec(shape=(None, 3), dtype="float32", name="x")
    path = exported(model, tmp_path, likelihood=likelihood, input_signature=signature)
    found = load(path, FIRST)(x)
    both = kp.predict(model, x, DRAWS, likelihood, seed=3, verbose=0)
    for k, one in enumerate(both):
        start = f"output_{k}_"
        check({name[len(start) :]: v for name, v in found.items() if name.startswith(start)}, one)


ALONE = """
    import sys
    sys.modules["keras_priors"] = sys.modules["keras"] = None  # neither can be imported
    import numpy as np
    sys.path.insert(0, {folder!r})
    from _runtimes import load
    found = load({path!r}, {target!r})(np.load("x.npy"))
    assert "keras_priors.serving" not in sys.modules
    np.savez("found.npz", **found)
"""


@pytest.mark.slow
def test_a_file_is_read_where_there_is_no_keras_priors(tmp_path):
    model, x = regressor(), rows(7, 3)
    path = exported(model, tmp_path)
    np.save(tmp_path / "x.npy", x)
    folder = str(pathlib.Path(__file__).parent)
    code = textwrap.dedent(ALONE.format(folder=folder, path=str(path), target=FIRST))
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    with np.load(tmp_path / "found.npz") as found:
        check(dict(found), predicted(model, x))


# --- what is stored


@pytest.mark.slow
@pytest.mark.parametrize("target", WRITTEN[keras.backend.backend()])
def test_a_file_has_each_draw_once(target, tmp_path):
    model = keras.Sequential([keras.Input((100,)), kp.VariationalDense(300, num_data=10)])
    path = exported(model, tmp_path, target, likelihood=kp.likelihoods.Categorical())
    files = [path] if path.is_file() else [f for f in path.rglob("*") if f.is_file()]
    draws = DRAWS * 4 * 101 * 300
    assert draws < sum(file.stat().st_size for file in files) < 1.3 * draws


@pytest.fixture
def stored(monkeypatch):
    """What would be written, in place of what writes: the models, and at each place a word."""
    models = []

    def write(model, path, target, signature):
        models.append((model, signature))
        place = pathlib.Path(path)
        if target == "tf_saved_model":
            place.mkdir()
            place = place / "saved_model.pb"
        place.write_text(f"file {len(models)}")

    monkeypatch.setattr(kp_backend, "export_model", write)
    return models


def numbers_in(model):
    return sum(int(np.prod(v.shape)) for v in model.variables)


def test_draws_are_stored_and_nothing_else_of_the_posterior(stored, tmp_path):
    model = regressor()
    exported(model, tmp_path)
    served, signature = stored[0]
    drawn, normalization, kl_weights = (3 * 8 + 8) + (8 * 4 + 4), 4 * 8, 2
    assert numbers_in(served) == DRAWS * drawn + normalization + kl_weights
    assert signature.shape == (None, 3)
    assert signature.name == "x"


def test_what_draws_have_in_common_is_stored_once(stored, tmp_path):
    posterior = sampled()
    exported(posterior, tmp_path)
    last, mean, hidden, variance = 8 * 2 + 2, 8, 3 * 8 + 8, 8
    assert numbers_in(stored[0][0]) == DRAWS * (last + mean) + hidden + variance
    x = rows(7, 3)
    check(
        {k: keras.ops.convert_to_numpy(v) for k, v in stored[0][0](x).items()},
        predicted(posterior, x),
    )


def test_a_model_without_a_posterior_is_one_draw(stored, tmp_path):
    model = plain()
    x = rows(4, 3)
    exported(model, tmp_path, likelihood=kp.likelihoods.Normal(0.5), quantiles=[0.25])
    found = {k: keras.ops.convert_to_numpy(v) for k, v in stored[0][0](x).items()}
    np.testing.assert_allclose(found["mean"], model.predict(x, verbose=0), atol=1e-6)
    assert not found["epistemic"].any()
    np.testing.assert_allclose(found["std"], 0.5, rtol=1e-6)
    np.testing.assert_allclose(found["quantiles"][..., 0], found["mean"] - 0.5 * 0.6744898, 1e-5)


def test_a_seed_names_the_draws(stored, tmp_path):
    model, x = regressor(), rows(3, 3)
    for seed in (3, 3, None):
        path = tmp_path / f"served{SUFFIXES[FIRST]}"
        kp.export_predictive(model, path, 2, FIRST, seed=seed, overwrite=True)
    first, again, fresh = (keras.ops.convert_to_numpy(served(x)["mean"]) for served, _ in stored)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, fresh)


def test_fewer_draws_than_the_default_are_all_taken(stored, tmp_path):
    posterior = sampled()
    path = tmp_path / f"served{SUFFIXES[FIRST]}"
    kp.export_predictive(posterior, path, format=FIRST)
    x = rows(3, 3)
    expected = posterior.predict(x, verbose=0).entropy
    found = keras.ops.convert_to_numpy(stored[0][0](x)["entropy"])
    np.testing.assert_allclose(found, expected, atol=1e-6)
    with pytest.raises(ValueError, match="at most the number of stored draws"):
        kp.export_predictive(posterior, tmp_path / path.name.replace("s", "t"), 6, FIRST)


# --- where it is written


def test_nothing_is_replaced_unless_it_is_asked(stored, tmp_path):
    model = regressor()
    path = exported(model, tmp_path)
    file = path / "saved_model.pb" if path.is_dir() else path
    with pytest.raises(FileExistsError, match="overwrite=True"):
        exported(model, tmp_path)
    assert file.read_text() == "file 1"
    exported(model, tmp_path, overwrite=True)
    assert file.read_text() == "file 2"
    assert os.listdir(tmp_path) == [path.name]


def test_what_is_no_file_of_the_format_is_never_replaced(stored, tmp_path):
    place = tmp_path / f"served{SUFFIXES[FIRST]}"
    place.mkdir()
    (place / "thesis.tex").write_text("all of it")
    with pytest.raises(FileExistsError, match="something else"):
        exported(regressor(), tmp_path, overwrite=True)
    assert (place / "thesis.tex").read_text() == "all of it"


def test_an_export_that_fails_leaves_the_old_file(stored, tmp_path, monkeypatch):
    model = regressor()
    path = exported(model, tmp_path)

    def fail(model, path, target, signature):
        pathlib.Path(path).write_text("half")
        raise RuntimeError("no space left")

    monkeypatch.setattr(kp_backend, "export_model", fail)
    with pytest.raises(RuntimeError, match="no space left"):
        exported(model, tmp_path, overwrite=True)
    file = path / "saved_model.pb" if path.is_dir() else path
    assert file.read_text() == "file 1"
    assert os.listdir(tmp_path) == [path.name]


# --- what is refused


@pytest.mark.parametrize("target", SUFFIXES)
def test_a_format_of_other_backends_is_refused_by_their_names(target, backend, tmp_path, stored):
    path = tmp_path / f"served{SUFFIXES[target]}"
    if target in WRITTEN[backend]:
        kp.export_predictive(regressor(), path, 2, target)
        return
    with pytest.raises(NotImplementedError, match=r"is written by (TensorFlow|JAX|PyTorch)"):
        kp.export_predictive(regressor(), path, 2, target)


REFUSED = {
    "format": ({"format": "pmml"}, ValueError, "`format` must be one of"),
    "samples": ({"num_samples": 0}, ValueError, "num_samples"),
    "quantile": ({"quantiles": [0.5, 1.0]}, ValueError, "between 0 and 1"),
    "number": ({"quantiles": 0.5}, ValueError, "must be a sequence"),
    "structure": (
        {"likelihood": [kp.likelihoods.Normal()]},
        ValueError,
        "takes one likelihood",
    ),
    "angles": (
        {"likelihood": kp.likelihoods.VonMises()},
        NotImplementedError,
        r"quantiles=\(\)",
    ),
    "classes": (
        {"likelihood": kp.likelihoods.Categorical(), "quantiles": [0.5]},
        ValueError,
        "outcomes with an order",
    ),
    "signature": ({"input_signature": "x"}, ValueError, "must be a keras.InputSpec"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals(case, tmp_path, stored):
    options, error, message = REFUSED[case]
    path = tmp_path / f"served{SUFFIXES[FIRST]}"
    with pytest.raises(error, match=message):
        kp.export_predictive(regressor(), path, **{"format": FIRST, **options})
    assert not os.listdir(tmp_path)


def test_what_has_no_likelihood_or_no_shape_is_refused(tmp_path, stored):
    path = tmp_path / f"served{SUFFIXES[FIRST]}"
    with pytest.raises(ValueError, match="not compiled"):
        kp.export_predictive(plain(), path, format=FIRST)
    with pytest.raises(TypeError, match=r"must be a keras\.Model"):
        kp.export_predictive("model", path, format=FIRST)
    subclassed = Subclassed()
    subclassed(rows(2, 3))
    one = kp.likelihoods.Normal()
    with pytest.raises(ValueError, match="a subclassed model, without `input_signature`"):
        kp.export_predictive(subclassed, path, format=FIRST, likelihood=[one, one])
    with pytest.raises(ValueError, match="Each output needs a likelihood"):
        kp.export_predictive(subclassed, path, format=FIRST, likelihood=[one, None])


def test_another_ending_is_refused(tmp_path, backend):
    target = WRITTEN[backend][-1]
    if target == "tf_saved_model":
        pytest.skip("a folder has any name")
    with pytest.raises(ValueError, match="must end in"):
        kp.export_predictive(regressor(), tmp_path / "served.bin", 2, target)


def test_masks_are_no_weights(tmp_path):
    net = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dropout(0.5), keras.layers.Dense(1)], name="net"
    )
    x = rows(8, 3)
    kp.set_priors(net, {keras.layers.Dense: kp.NormalPrior(0, 1)})
    one = kp.likelihoods.Normal()
    posterior = kp.inference.MCDropout().fit(net, x, x[:, :1], one, verbose=0)
    with pytest.raises(NotImplementedError, match="MCDropoutPosterior"):
        kp.export_predictive(posterior, tmp_path / f"s{SUFFIXES[FIRST]}", 2, FIRST)


def test_weights_that_are_not_finite_are_refused(tmp_path):
    model = regressor()
    model.layers[0].kernel_posterior.loc.assign(np.full((3, 8), np.nan))
    with pytest.raises(ValueError, match="must be finite"):
        exported(model, tmp_path)
