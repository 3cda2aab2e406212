"""What `import keras_priors` costs and touches, each time in a process of its own."""

import os
import subprocess
import sys
import textwrap

import keras
import pytest

NOT_TENSORFLOW = pytest.mark.skipif(
    keras.backend.backend() == "tensorflow", reason="about the other backends"
)

# Libraries that look installed and fail when imported. (Refused at execution, not at the search:
# PyTorch searches for TensorFlow without importing it.)
BLOCK = """
import importlib.machinery
import sys


class Blocker:
    def __init__(self, *names):
        self.names = names
        self.attempts = []

    def find_spec(self, name, path=None, target=None):
        if name in self.names:
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        self.attempts.append(module.__name__)
        raise ImportError(f"{module.__name__} is blocked by this test", name=module.__name__)


def block(*names):
    blocker = Blocker(*names)
    sys.meta_path.insert(0, blocker)
    return blocker
"""


def run(source, project_root):
    """Runs a script on the backend of this process and fails with what it printed."""
    environment = {**os.environ, "KERAS_BACKEND": keras.backend.backend()}
    done = subprocess.run(
        [sys.executable, "-c", BLOCK + textwrap.dedent(source)],
        cwd=project_root,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_import_loads_no_heavy_library(project_root):
    # Keras loads some of these itself where they are installed, so it is imported first, without
    # them; what is asked for afterwards is asked for by us.
    run(
        """
        blocker = block("arviz", "matplotlib", "sklearn", "tensorflow_probability", "tf_keras")
        import keras

        blocker.attempts.clear()
        before = set(sys.modules)
        import keras_priors

        assert blocker.attempts == [], blocker.attempts
        added = {name.split(".")[0] for name in set(sys.modules) - before}
        heavy = {"jax", "pandas", "scipy", "tensorflow", "torch", "IPython"}
        assert added & heavy == set(), added & heavy
        """,
        project_root,
    )


def test_what_is_not_installed_is_named_with_its_extra(project_root):
    # To Python None is a module that is not there, for imports and searches alike.
    run(
        """
        import os

        backend = os.environ["KERAS_BACKEND"]
        needed = {
            "tensorflow": ["tensorflow_probability", "tf_keras", "tensorflow"],
            "jax": ["tensorflow_probability", "jax"],
            "torch": ["torch"],
        }
        for missing in needed[backend]:
            for name in list(sys.modules):
                if name.split(".")[0] in ("keras", "keras_priors", missing):
                    del sys.modules[name]
            sys.modules[missing] = None
            try:
                import keras_priors
            except ModuleNotFoundError as error:
                assert error.name == missing, error
                assert f"no module named {missing}." in str(error), error
                assert f'pip install "keras-priors[{backend}]"' in str(error), error
            else:
                raise AssertionError(missing)
            del sys.modules[missing]
        """,
        project_root,
    )


def test_import_changes_nothing_outside_the_package(project_root):
    run(
        """
        import os
        import warnings

        import keras

        def settings():
            return (
                dict(os.environ),
                list(warnings.filters),
                keras.config.floatx(),
                keras.config.dtype_policy().name,
                keras.config.epsilon(),
            )

        before = settings()
        import keras_priors

        assert settings() == before, (before, settings())
        """,
        project_root,
    )


@NOT_TENSORFLOW
def test_distributions_leave_an_installed_tensorflow_alone(project_root):
    # TFP's JAX substrate takes TensorFlow where it finds it, for nothing but docstrings.
    run(
        """
        import keras_priors as kp

        kp.NormalPrior(0, 1).distribution((3,))
        assert "tensorflow" not in sys.modules
        """,
        project_root,
    )


@NOT_TENSORFLOW
def test_nothing_needs_tensorflow_on_another_backend(project_root):
    printed = run(
        """
        blocker = block("tensorflow", "tf_keras")
        import math

        import keras
        import numpy as np

        import keras_priors as kp

        log_prob = float(kp.NormalPrior(0, 1).log_prob(keras.ops.zeros((3,))))
        assert abs(log_prob + 1.5 * math.log(2 * math.pi)) < 1e-5, log_prob

        x = np.linspace(-1, 1, 32, dtype="float32").reshape(32, 1)
        model = keras.Sequential([keras.Input((1,)), kp.VariationalDense(1, num_data=32)])
        model.compile(optimizer="adam", loss=kp.likelihoods.Normal(scale=0.1))
        history = model.fit(x, 2 * x, epochs=2, batch_size=8, verbose=0)
        assert np.isfinite(history.history["loss"]).all()
        predictive = kp.predict(model, x, num_samples=3)
        assert predictive.draws.shape == (3, 32, 1), predictive.draws.shape
        assert "tensorflow" not in sys.modules
        print("ran without TensorFlow")
        """,
        project_root,
    )
    assert "ran without TensorFlow" in printed


@NOT_TENSORFLOW
@pytest.mark.slow
def test_nothing_at_all_needs_tensorflow_on_another_backend(project_root):
    printed = run(
        """
        blocker = block("tensorflow", "tf_keras")
        import keras
        import numpy as np

        import keras_priors as kp

        x = np.linspace(-1, 1, 32, dtype="float32").reshape(32, 1)
        model = keras.Sequential([keras.Input((1,)), kp.VariationalDense(1)])
        model.compile(optimizer="adam", loss=kp.likelihoods.Normal(scale=0.1))

        # Every prior, family and estimator, and what is done to a model.
        import os
        import tempfile

        eye = np.eye(2)
        given = {
            "StudentTPrior": (3.0,), "HalfStudentTPrior": (3.0,), "UniformPrior": (0.0, 1.0),
            "TruncatedNormalPrior": (0.0, 1.0, -1.0, 1.0), "GammaPrior": (2.0, 1.0),
            "InverseGammaPrior": (2.0, 1.0), "BetaPrior": (2.0, 2.0),
            "GeneralizedNormalPrior": (0.0, 1.0, 1.5),
        }
        here = [
            kp.priors.MultivariateNormalPrior(covariance=eye),
            kp.priors.MatrixNormalPrior(row_covariance=eye, column_covariance=eye),
            kp.DistributionPrior(kp.LogisticPrior().distribution(())),
        ]
        for name in (
            "Normal", "Laplace", "Cauchy", "Logistic", "HalfNormal", "HalfCauchy", "Exponential",
            "LogNormal", "ScaleMixture", "SpikeAndSlab", "Horseshoe", "RegularizedHorseshoe",
            "VarianceScaling", "StudentT", "HalfStudentT", "Uniform", "TruncatedNormal", "Gamma",
            "InverseGamma", "Beta", "GeneralizedNormal",
        ):
            here.append(vars(kp.priors)[name + "Prior"](*given.get(name + "Prior", ())))
        for prior in here:
            w = prior.sample((2, 2), seed=0)
            assert np.isfinite(float(prior.log_prob(w))), prior
            prior.distribution((2, 2))

        for posterior in (
            "mean_field", "delta", "low_rank", "full", "matrix_normal", "log_normal"
        ):
            prior = kp.HalfNormalPrior() if posterior == "log_normal" else None
            layer = kp.VariationalDense(1, kernel_posterior=posterior, kernel_prior=prior)
            layer(x, training=True)
            float(layer.kl())
        for estimator in ("reparameterization", "local_reparameterization", "flipout"):
            kp.VariationalDense(1, estimator=estimator)(x, training=True)
        kp.set_num_data(model, (x, x))
        callbacks = [kp.callbacks.BayesianMonitor(), kp.callbacks.KLAnnealing()]
        model.fit(x, 2 * x, epochs=1, batch_size=16, verbose=0, callbacks=callbacks)
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "model.keras")
            model.save(path)
            assert keras.saving.load_model(path).layers[0].num_data == 32
        dense = keras.layers.Dense(1, use_bias=False, kernel_regularizer=kp.NormalPrior())
        plain = keras.Sequential([keras.Input((1,)), dense])
        likelihood = kp.likelihoods.Normal(0.1)
        for method in (
            kp.inference.Laplace("full"), kp.inference.SGLD(num_burnin=2, num_samples=2)
        ):
            method.fit(plain, x, 2 * x, likelihood, seed=0, verbose=0).predict(x, 2)

        assert "tensorflow" not in sys.modules
        print("ran without TensorFlow")
        """,
        project_root,
    )
    assert "ran without TensorFlow" in printed
