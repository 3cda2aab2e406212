import pathlib

import keras
import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
SHARED_DATA = ROOT.parent / "shared" / "data"


@pytest.fixture
def backend():
    """The name of the backend that Keras runs on: "tensorflow", "jax" or "torch"."""
    return keras.backend.backend()


@pytest.fixture(scope="session")
def shared_data():
    """The folder of data sets beside the project; a test that asks for it is skipped without."""
    if not SHARED_DATA.is_dir():
        pytest.skip("no ../shared/data beside the project")
    return SHARED_DATA


@pytest.fixture(scope="session")
def project_root():
    """The folder that holds pyproject.toml."""
    return ROOT
