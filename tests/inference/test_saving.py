"""Files of posteriors: what is damaged is refused by name, and a write that fails harms nothing."""

import io
import json
import pathlib
import zipfile

import keras
import numpy as np
import pytest

import keras_priors as kp
from keras_priors.inference.posterior import Posterior
from tests.inference.test_posterior import LIKELIHOOD, net

SAVED = pathlib.Path(__file__).parents[1] / "saved" / "0.1"
# A file of each class, and of each structure; an array of it by whose shape the weights are known,
# and a number of its description.
FILES = {
    "map": ("2", "log_posterior"),
    "nuts": ("draws/2", None),
    "mc_dropout": ("2", "rate"),
    "swag": ("location", None),
    "mean_field": ("parameters/rho", "family"),
    "low_rank": ("parameters/factor", "family"),
    "full_rank": ("parameters/scale_tril", "family"),
    "laplace_full": ("curvature_matrix", "log_prior"),
    "laplace_diagonal": ("curvature_diagonal", "factor"),
    "laplace_kronecker": ("curvature_left_16", "log_likelihood"),
    "laplace_low_rank": ("curvature_values", "structure"),
    "laplace_last": ("mode", "layers"),
}


def damaged(name, place, arrays=lambda a: a, description=lambda d: d, compress=False):
    """The saved file `name` with other arrays or another description."""
    with zipfile.ZipFile(SAVED / f"{name}.posterior") as file:
        parts = {each: file.read(each) for each in file.namelist()}
    with np.load(io.BytesIO(parts["arrays.npz"])) as found:
        changed = arrays(dict(found))
    packed = io.BytesIO()
    (np.savez_compressed if compress else np.savez)(packed, **changed)
    parts["arrays.npz"] = packed.getvalue()
    parts["posterior.json"] = json.dumps(description(json.loads(parts["posterior.json"])))
    path = place / "damaged.posterior"
    with zipfile.ZipFile(path, "w") as file:
        for each, content in parts.items():
            file.writestr(each, content)
    return path


def without(mapping, key):
    return {k: v for k, v in mapping.items() if k != key}


def with_nan(array):
    array = array.copy()
    array.flat[-1] = np.nan
    return array


ARRAYS = {
    "missing": (lambda a, n: without(a, n), r"There must be an entry '{}'"),
    "longer": (lambda a, n: a | {n: np.concatenate([a[n], a[n]], axis=-1)}, "entry '{}'.* shape"),
    "scalar": (lambda a, n: a | {n: np.float32(1)}, "entry '{}'.* shape"),
    "nan": (lambda a, n: a | {n: with_nan(a[n])}, "entry '{}' must be finite"),
    "text": (lambda a, n: a | {n: np.full(a[n].shape, "x")}, "entry '{}' must hold numbers"),
    "complex": (lambda a, n: a | {n: a[n].astype("complex64")}, "entry '{}' must hold numbers"),
    "object": (lambda a, n: a | {n: a[n].astype(object)}, "entry '{}' must hold the numbers"),
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ARRAYS)
def test_a_damaged_array_is_refused_by_name(name, damage, tmp_path):
    change, message = ARRAYS[damage]
    array = FILES[name][0]
    path = damaged(name, tmp_path, lambda arrays: change(arrays, array))
    with pytest.raises(ValueError, match=r"damaged\.posterior.*" + message.format(array)):
        Posterior.load(path)


@pytest.mark.parametrize("name", FILES)
def test_a_damaged_description_is_refused_by_name(name, tmp_path):
    for key in ("class", "config", "likelihood", "seconds"):
        path = damaged(name, tmp_path, description=lambda d, key=key: without(d, key))
        with pytest.raises(ValueError, match=rf"damaged\.posterior.*none of \['{key}'\]"):
            Posterior.load(path)
    entry = FILES[name][1]
    if entry is None:
        return

    def other(description, value=None, drop=False):
        config = without(description["config"], entry)
        return description | {"config": config if drop else config | {entry: value}}

    for change in (lambda d: other(d, drop=True), lambda d: other(d, "nonsense")):
        path = damaged(name, tmp_path, description=change)
        with pytest.raises(ValueError, match=rf"damaged\.posterior.*({entry}|nonsense)"):
            Posterior.load(path)


@pytest.mark.parametrize(
    ("name", "array", "value"),
    [
        ("map", "4", np.zeros(1)),  # more than there are
        ("nuts", "draws/4", np.zeros((2, 5, 1))),
        ("nuts", "stats/lp", np.zeros((2, 4))),
        ("nuts", "states/99", np.zeros((2, 5, 1))),
        ("swag", "states/0", np.zeros((2, 2))),
        ("swag", "states/-1", np.zeros(4)),
        ("swag", "variance", -np.ones(21)),
        ("swag", "deviations", np.zeros((2, 20))),
        ("mean_field", "elbo", np.zeros((2, 2))),
        ("laplace_kronecker", "curvature_left_3", np.eye(2)),
        ("laplace_kronecker", "curvature_right_16", np.zeros((1, 2))),
        ("laplace_low_rank", "curvature_values", np.zeros(2)),
        ("laplace_full", "prior", np.ones(20)),
        ("laplace_last", "prior", np.ones(21)),
    ],
)
def test_arrays_that_do_not_belong_together_are_refused(name, array, value, tmp_path):
    path = damaged(name, tmp_path, lambda arrays: arrays | {array: value})
    with pytest.raises(ValueError, match=rf"damaged\.posterior.*{array}"):
        Posterior.load(path)


@pytest.mark.parametrize("entry", [[0, 22, 1.0, 1.0, 1.0], [0, 12, 1.0], [0, 12, "x", 1.0, 1.0]])
def test_entries_of_the_evidence_are_checked(entry, tmp_path):
    def change(description):
        config = description["config"] | {"normal_priors": {"hidden/kernel": entry}}
        return description | {"config": config}

    path = damaged("laplace_full", tmp_path, description=change)
    with pytest.raises(ValueError, match=r"damaged\.posterior.*normal_priors/hidden/kernel"):
        Posterior.load(path)


def test_little_bytes_that_become_many_are_refused_unread(tmp_path):
    path = damaged("swag", tmp_path, lambda a: a | {"more": np.zeros(10**7)}, compress=True)
    assert path.stat().st_size < 2**20
    with pytest.raises(ValueError, match=r"damaged\.posterior.*'more\.npy' of \d+ bytes"):
        Posterior.load(path)
    # The same of a header that says more than there is.
    packed = io.BytesIO()
    header = {"descr": "<f4", "fortran_order": False, "shape": (10**12,)}
    with zipfile.ZipFile(packed, "w") as arrays, arrays.open("location.npy", "w") as content:
        np.lib.format.write_array_header_1_0(content, header)
    with (
        zipfile.ZipFile(SAVED / "swag.posterior") as file,
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as other,
    ):
        for each in ("posterior.json", "model.keras"):
            other.writestr(each, file.read(each))
        other.writestr("arrays.npz", packed.getvalue())
    with pytest.raises(ValueError, match=r"'location' must hold the numbers.*1000000000000"):
        Posterior.load(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as other:
        other.writestr("posterior.json", b" " * 10**8)
    with pytest.raises(ValueError, match=r"damaged\.posterior: .*'posterior\.json' of \d+ bytes"):
        Posterior.load(path)


def test_bytes_that_are_lost_are_noticed(tmp_path):
    whole = (SAVED / "map.posterior").read_bytes()
    path = tmp_path / "cut.posterior"
    for content in (b"", whole[: len(whole) // 2], whole.replace(b"NUMPY", b"NUMPX")):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"cut\.posterior"):
            Posterior.load(path)


@pytest.mark.parametrize("error", [OSError("No space left on device"), KeyboardInterrupt()])
def test_a_write_that_fails_leaves_the_file_that_was(error, tmp_path, monkeypatch):
    values = [np.ones(shape, "float32") for shape in ((2, 3), (3, 1), (1,))]
    path = tmp_path / "a.posterior"
    kp.inference.PointPosterior(net(), LIKELIHOOD, values).save(path)
    before = path.read_bytes()
    twice = kp.inference.PointPosterior(net(), LIKELIHOOD, [2 * v for v in values])
    with monkeypatch.context() as patch:

        def fail(self, *args, **kwargs):
            self.fp.write(b"half of it")
            raise error

        patch.setattr(zipfile.ZipFile, "write", fail)
        with pytest.raises(type(error)):
            twice.save(path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.posterior"]
    link = tmp_path / "link.posterior"
    link.symlink_to(path)
    twice.save(link)
    assert link.is_symlink() and len(list(tmp_path.iterdir())) == 2
    np.testing.assert_array_equal(Posterior.load(path).mean()["out/bias"], [2.0])


def test_layers_that_are_not_finite_are_refused(tmp_path):
    posterior = kp.inference.LayersPosterior(kp.to_variational(net()), LIKELIHOOD)
    path = tmp_path / "layers.posterior"
    posterior.save(path)
    assert Posterior.load(path).paths == posterior.paths
    weights = posterior.model.get_weights()
    weights[0].flat[0] = np.nan
    posterior.model.set_weights(weights)
    posterior.save(path)
    with pytest.raises(ValueError, match=r"layers\.posterior.*NaN or infinity in hidden/kernel"):
        Posterior.load(path)


def test_code_in_a_file_is_not_run(tmp_path):
    """Neither as a layer of the model, nor in the place of the likelihood."""
    code = keras.layers.Lambda(lambda x: x)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False), code])
    kp.set_priors(model, kp.NormalPrior(0.0, 1.0))
    path = tmp_path / "damaged.posterior"
    kp.inference.PointPosterior(model, LIKELIHOOD, [np.ones((1, 1), "float32")]).save(path)
    with pytest.raises(ValueError, match=r"damaged\.posterior, in model\.keras.*`?lambda`?.*safe"):
        Posterior.load(path)
    packed = keras.saving.serialize_keras_object(code)
    path = damaged("map", tmp_path, description=lambda d: d | {"likelihood": packed})
    with pytest.raises(ValueError, match=r"damaged\.posterior, in posterior\.json.*lambda.*safe"):
        Posterior.load(path)


def test_objects_are_not_written(tmp_path, monkeypatch):
    """They would be pickled, and `load` refuses what is."""
    values = [np.ones(shape, "float32") for shape in ((2, 3), (3, 1), (1,))]
    posterior = kp.inference.PointPosterior(net(), LIKELIHOOD, values)
    monkeypatch.setattr(posterior, "_state", lambda: ({}, {"0": np.array([{}])}))
    with pytest.raises(ValueError, match="Object arrays cannot be saved"):
        posterior.save(tmp_path / "a.posterior")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("seconds", [12.5, None])
def test_how_long_a_fit_took_is_kept(seconds, tmp_path):
    values = [np.ones(shape, "float32") for shape in ((2, 3), (3, 1), (1,))]
    posterior = kp.inference.PointPosterior(net(), LIKELIHOOD, values)
    posterior.seconds = seconds
    posterior.save(tmp_path / "a.posterior")
    assert Posterior.load(tmp_path / "a.posterior").seconds == seconds


@pytest.mark.parametrize("lora", [False, True])
def test_a_model_that_was_trained_with_frozen_variables_trains_when_it_is_loaded(lora, tmp_path):
    dense = keras.layers.Dense(2, name="dense")
    model = keras.Sequential([keras.Input((3,)), dense, keras.layers.Dense(1, name="out")])
    if lora:
        dense.enable_lora(1)
    dense.bias.trainable = False
    kp.set_priors(model, kp.NormalPrior(0, 1))
    x = np.ones((8, 3), "float32")
    kp.set_num_data(model, x)
    model.compile("adam", kp.likelihoods.Normal(1.0))
    model.fit(x, x[:, :1], verbose=0)
    kp.inference.MAP(3, 1e9).fit(model, x, x[:, :1], verbose=0).save(tmp_path / "a.posterior")
    loaded = kp.inference.Posterior.load(tmp_path / "a.posterior").model
    before = keras.ops.convert_to_numpy(loaded.get_layer("dense").bias)
    kp.set_num_data(loaded, x)
    loaded.fit(x, x[:, :1], verbose=0)
    assert len(loaded.trainable_variables) == len(model.trainable_variables)
    after = keras.ops.convert_to_numpy(loaded.get_layer("dense").bias)
    np.testing.assert_array_equal(after, before)
