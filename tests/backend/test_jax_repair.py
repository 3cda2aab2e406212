"""TFP's JAX substrate reads a name that JAX has moved: it is given back, and nothing else is."""

import importlib
import sys
from concurrent.futures import ThreadPoolExecutor

import keras
import pytest

if keras.backend.backend() != "jax":
    pytest.skip("about TFP on JAX", allow_module_level=True)

import jax.core
import jax.interpreters.xla as xla

from keras_priors.backend.tfp import library as _jax

NAME = "pytype_aval_mappings"


def test_the_name_is_given_back_and_no_other(monkeypatch):
    monkeypatch.delattr(xla, NAME, raising=False)
    before = set(dir(xla))
    assert NAME not in before
    _jax._give_back_moved_name()
    assert set(dir(xla)) == before | {NAME}
    assert vars(xla)[NAME] is jax.core.pytype_aval_mappings


def test_a_jax_that_has_the_name_keeps_its_own(monkeypatch):
    own = object()
    monkeypatch.setattr(xla, NAME, own, raising=False)
    _jax._give_back_moved_name()
    assert vars(xla)[NAME] is own


def test_tensorflow_is_hidden_from_the_thread_that_imports_and_from_no_other(monkeypatch):
    for name in [n for n in sys.modules if n.split(".")[0] == "colorsys"]:
        monkeypatch.delitem(sys.modules, name)
    hidden, before = _jax._NotFound("colorsys"), list(sys.meta_path)
    monkeypatch.setattr(sys, "meta_path", [hidden, *before])
    with pytest.raises(ModuleNotFoundError, match="colorsys"):
        importlib.import_module("colorsys")
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(importlib.import_module, "colorsys").result().rgb_to_hsv
    monkeypatch.undo()
    with _jax._without_tensorflow():
        assert len(sys.meta_path) == len(before) + 1
        assert sys.modules.get("tensorflow", "nothing") is not None
    assert sys.meta_path == before
