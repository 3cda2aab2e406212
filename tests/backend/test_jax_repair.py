"""TFP's JAX substrate reads a name that JAX has moved: it is given back, and nothing else is."""

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
