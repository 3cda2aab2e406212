"""What every test and doctest starts from: a quiet backend, a seed, Keras' own settings."""

import gc
import importlib.util
import os
import pathlib
import sys
import zlib

# Keras and the backends read these when they are imported.
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "agg")
# Most of a JAX test is compilation, and many tests compile the same small nets: kept on disk, each
# program is compiled once, also for the processes that tests start.
os.environ.setdefault(
    "JAX_COMPILATION_CACHE_DIR", str(pathlib.Path(__file__).parent / ".jax_cache")
)
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
if os.environ["KERAS_BACKEND"] == "jax":
    # Tests run a program a few times: without LLVM's optimizations it is compiled in two thirds of
    # the time.
    os.environ.setdefault(
        "XLA_FLAGS",
        "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true",
    )
if os.environ["KERAS_BACKEND"] == "torch":
    # Tensors of tests are small, and where cores are shared its threads wait for each other: a step
    # that takes 7 ms with one was seen to take 300.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# PyTensor runs its graphs in Python: to compile C takes longer than these tests.
os.environ.setdefault("PYTENSOR_FLAGS", "mode=FAST_COMPILE,linker=py")

import keras
import pytest

BACKENDS = ("tensorflow", "jax", "torch")

# Modules of a backend import one library each, which the environment of another may lack.
# Scripts of tests with several processes begin as they are imported, and what plays a chip tells
# PyTorch of one.
collect_ignore_glob = [
    "keras_priors/backend/*",
    "tests/*/_*_processes.py",
    "tests/backend/_chip*.py",
]
# A bridge is a way into a library, which an environment may lack, as its backend.
if importlib.util.find_spec("pymc") is None:
    collect_ignore_glob.append("keras_priors/bridges/pymc/*")
if importlib.util.find_spec("numpyro") is None or os.environ["KERAS_BACKEND"] != "jax":
    collect_ignore_glob.append("keras_priors/bridges/numpyro/*")


def pytest_addoption(parser):
    parser.addoption(
        "--share-dear",
        action="store_true",
        help="TensorFlow and JAX share the cases of tests/dear_tests.txt: each runs on one of them",
    )


def runs_on(backend, test, dear):
    """Whether a run with `--share-dear` has it, from its own name: whatever is added beside it."""
    if backend == "torch" or dear.isdisjoint((test, test.split("[")[0])):
        return True
    return BACKENDS[zlib.crc32(test.encode()) % 2] == backend


def pytest_collection_modifyitems(config, items):
    """Leaves half of the dear cases to the other backend that compiles; PyTorch runs all."""
    if not config.getoption("--share-dear"):
        return
    backend = keras.backend.backend()
    listed = pathlib.Path(__file__).parent / "tests" / "dear_tests.txt"
    dear = set(listed.read_text(encoding="utf-8").split("\n"))
    kept = [item for item in items if runs_on(backend, item.nodeid, dear)]
    config.hook.pytest_deselected(items=list(set(items) - set(kept)))
    items[:] = kept


def pytest_collection_finish(session):
    """What libraries made as they were imported stays: no collection looks at it again."""
    gc.collect()
    gc.freeze()


def pytest_configure(config):
    backend = keras.backend.backend()
    if backend not in BACKENDS:
        raise pytest.UsageError(
            f"The tests run on one of the backends {', '.join(BACKENDS)}. Received: {backend!r}. "
            "Set KERAS_BACKEND."
        )
    if backend == "tensorflow":
        import tensorflow as tf

        # For `MirroredStrategy`; only possible before TensorFlow starts. Everything that names no
        # device runs on the first, as with one.
        (cpu,) = tf.config.list_physical_devices("CPU")
        tf.config.set_logical_device_configuration(
            cpu, [tf.config.LogicalDeviceConfiguration()] * 2
        )


def pytest_report_header(config):
    return f"keras {keras.__version__} on {keras.backend.backend()}"


@pytest.fixture(autouse=True)
def _seeded():
    """The same random numbers for a test whatever ran before it."""
    keras.utils.set_random_seed(0)


@pytest.fixture(autouse=True)
def _keras_settings_restored():
    """A test that changes the precision or the layout of the data changes it for itself alone."""
    policy, floatx = keras.config.dtype_policy(), keras.config.floatx()
    image_data_format, epsilon = keras.config.image_data_format(), keras.config.epsilon()
    yield
    keras.config.set_floatx(floatx)
    keras.config.set_dtype_policy(policy)
    keras.config.set_image_data_format(image_data_format)
    keras.config.set_epsilon(epsilon)


@pytest.fixture(autouse=True)
def _figures_closed():
    """A test leaves no figure open: pyplot keeps them all, and warns of the twenty-first."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


@pytest.fixture(autouse=True, scope="module")
def _memory_released(request):
    """Compiled functions and layer names of a test module are dropped at its end."""
    yield
    if "tests" not in request.node.path.parts:
        return  # a doctest is small: dropping what it shares with the next costs more
    if keras.backend.backend() == "jax":
        import jax

        jax.clear_caches()
    keras.utils.clear_session()  # which collects
    # On TensorFlow the graphs of each `fit` stay, Keras' own too: 6,000 objects and more. Looked at
    # by no later collection, they cost no time; else a test is twice as slow after 40 minutes.
    gc.freeze()
