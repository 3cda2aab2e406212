"""What tests ask of ArviZ 0.x and 1.x alike."""

import pytest

pytest.importorskip("arviz", reason="no ArviZ", exc_type=ModuleNotFoundError)
from keras_priors.inference.arviz import import_arviz

az = import_arviz()
HAS_TREES = int(az.__version__.partition(".")[0]) >= 1


def data_of(**groups):
    """Arrays by group and name, in the form that ArviZ and PyMC keep them in."""
    return az.from_dict(groups) if HAS_TREES else az.from_dict(**groups)


def groups_of(data):
    names = data.groups[1:] if HAS_TREES else data.groups()  # the first is the root
    return [name.strip("/") for name in names]
