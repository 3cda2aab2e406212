"""What is said where a library or its backend is not there."""

import sys

import keras
import pytest

import keras_priors as kp
from keras_priors.bridges.library import library
from tests.bridges._nets import line


def test_a_library_that_is_not_there_names_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "pymc", None)
    with pytest.raises(ModuleNotFoundError, match=r"keras-priors\[pymc\]"):
        kp.bridges.pymc.weights(line())


def test_what_a_library_itself_lacks_is_its_own_to_say(tmp_path, monkeypatch):
    (tmp_path / "half_a_library.py").write_text("import nothing_of_this_name")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match=r"nothing_of_this_name'$"):
        library("half_a_library")


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="NumPyro is on JAX")
def test_numpyro_is_refused_where_jax_does_not_run():
    with pytest.raises(NotImplementedError, match='KERAS_BACKEND="jax"'):
        kp.bridges.numpyro.random_model(line())
