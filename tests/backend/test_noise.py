"""The noise is standard normal, or fair signs, and a function of its seed alone."""

import keras
import numpy as np
import pytest
from keras import ops
from scipy import special, stats

from keras_priors.backend import random_signs, standard_normal

BACKEND = keras.config.backend()
COUNT = 1_000_000


def draw(seed, count=COUNT, function=standard_normal, dtype="float32"):
    """Draw as a step would: compiled where the backend compiles, from the seed as a tensor."""
    words = keras.random.SeedGenerator(seed).next()
    return ops.convert_to_numpy(function((count,), words, dtype)).astype("float64")


@pytest.fixture(scope="module")
def normals():
    return draw(1)


def test_distribution_is_standard_normal(normals):
    assert stats.kstest(normals, "norm").pvalue > 1e-4


@pytest.mark.parametrize(
    ("power", "moment", "variance"),
    [(1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96), (5, 0, 945), (6, 15, 10170)],
)
def test_moments(normals, power, moment, variance):
    error = np.mean(normals**power) - moment
    assert abs(error) < 4 * np.sqrt(variance / COUNT)


@pytest.mark.parametrize("bound", [1.0, 2.0, 3.0, 4.0])
def test_tails(normals, bound):
    expected = COUNT * special.ndtr(-bound)
    for found in (np.sum(normals > bound), np.sum(normals < -bound)):
        assert abs(found - expected) < 4.5 * np.sqrt(expected) + 1


def test_no_correlation_with_later_elements(normals):
    for lag in (1, 2, 3, 4, 8, 16, 32, 256, 400, 1024, 65536):
        a, b = normals[:-lag], normals[lag:]
        root = np.sqrt(len(a))
        assert abs(np.mean(a * b)) < 4.5 / root
        assert abs(np.mean((a**2 - 1) * (b**2 - 1))) < 4.5 * 2 / root


def test_values_hardly_repeat(normals):
    # Birthdays: two of a million equal float32 values are common, a tenth of them is a pattern.
    assert len(np.unique(normals)) > 0.9 * COUNT
    assert np.mean(normals == 0) < 1e-5


def test_low_bits_are_uniform(normals):
    # The bits of the cumulative probability, 8 at a time and neighbours together.
    cells = np.minimum((special.ndtr(normals) * 256).astype(int), 255)
    pairs = cells[0::2] * 256 + cells[1::2]
    assert stats.chisquare(np.bincount(pairs, minlength=65536)).pvalue > 1e-4


@pytest.mark.parametrize("function", [standard_normal, random_signs])
def test_neighbouring_seeds_are_independent(function):
    count = 2_000
    words = []
    for seed in (0, 1, 2, 3):
        generator = keras.random.SeedGenerator(seed)
        words += [generator.next() for _ in range(5)]
    rows = np.stack([ops.convert_to_numpy(function((count,), w, "float32")) for w in words])
    # (1, 4) and (2, 3) have the same sum; no shift of one row may be another row either.
    spectrum = np.fft.rfft(rows.astype("float64"), axis=1)
    for i in range(len(rows)):
        for j in range(i):
            correlation = np.fft.irfft(spectrum[i] * np.conj(spectrum[j]), count) / np.sqrt(count)
            assert np.max(np.abs(correlation)) < 6.5


def test_signs():
    signs = draw(2, function=random_signs)
    assert set(np.unique(signs)) == {-1.0, 1.0}
    assert abs(np.sum(signs)) < 4 * np.sqrt(COUNT)
    for lag in (1, 2, 8, 31, 32, 64, 1024):
        assert abs(np.sum(signs[lag:] * signs[:-lag])) < 4.5 * np.sqrt(COUNT)
    bits = (signs > 0).astype(int).reshape(-1, 10) @ (1 << np.arange(10))
    assert stats.chisquare(np.bincount(bits, minlength=1024)).pvalue > 1e-4


def test_signs_do_not_follow_the_normals_of_their_seed(normals):
    signs = draw(1, function=random_signs)
    assert abs(np.sum(signs * np.sign(normals))) < 4 * np.sqrt(COUNT)


@pytest.mark.parametrize("function", [standard_normal, random_signs])
def test_the_seed_decides(function):
    first, again, other = (draw(seed, 1000, function) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert np.mean(first == other) < 0.6


@pytest.mark.parametrize("function", [standard_normal, random_signs])
@pytest.mark.parametrize("shape", [(), (1,), (33,), (3, 5), (2, 3, 4), (0, 3)])
def test_shape(function, shape):
    value = function(shape, keras.random.SeedGenerator(1).next(), "float32")
    assert tuple(value.shape) == shape
    assert np.all(np.isfinite(ops.convert_to_numpy(value)))


@pytest.mark.parametrize("function", [standard_normal, random_signs])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_dtype(function, dtype):
    value = function((4000,), keras.random.SeedGenerator(1).next(), dtype)
    if not (BACKEND == "jax" and dtype == "float64"):  # JAX has no float64 unless told
        assert keras.backend.standardize_dtype(value.dtype) == dtype
    numbers = ops.convert_to_numpy(ops.cast(value, "float32"))
    assert abs(np.std(numbers) - 1) < 4 / np.sqrt(2 * 4000)


def test_gradient_passes_by():
    noise = draw(3, 8).astype("float32")
    layer = _Noisy()
    model = keras.Sequential([keras.Input((8,)), layer])
    model.compile(keras.optimizers.SGD(1.0), lambda y, p: ops.sum(p))
    model.fit(np.ones((1, 8), "float32"), np.zeros((1, 8), "float32"), verbose=0)
    np.testing.assert_allclose(1 - ops.convert_to_numpy(layer.scale), noise, rtol=1e-5, atol=1e-6)


class _Noisy(keras.layers.Layer):
    def __init__(self):
        super().__init__()
        self.seed_generator = keras.random.SeedGenerator(3)

    def build(self, input_shape):
        self.scale = self.add_weight(shape=(8,), initializer="ones")

    def call(self, x):
        return x * self.scale * standard_normal((8,), self.seed_generator.next(), "float32")


if BACKEND == "tensorflow":
    import tensorflow as tf

    @pytest.mark.parametrize("function", [standard_normal, random_signs])
    @pytest.mark.parametrize("xla", [False, True])
    def test_compiled_equals_eager(function, xla):
        seed = tf.constant([3, 4], "int64")
        eager = function((50, 3), seed, "float32").numpy()

        @tf.function(jit_compile=xla)
        def static(seed):
            return function((50, 3), seed, "float32")

        @tf.function(
            jit_compile=xla,
            input_signature=[tf.TensorSpec((None, 7)), tf.TensorSpec((2,), "int64")],
        )
        def dynamic(x, seed):
            return function((tf.shape(x)[0], 3), seed, "float32")

        for value in (static(seed), dynamic(tf.zeros((50, 7)), seed)):
            np.testing.assert_allclose(value.numpy(), eager, rtol=3e-6, atol=1e-6)
        # A shorter last batch is the beginning of a longer one, and no other size compiles.
        short = dynamic(tf.zeros((20, 7)), seed).numpy()
        np.testing.assert_allclose(short, eager[:20], rtol=3e-6, atol=1e-6)

    def test_no_float64_and_no_host_callback():
        function = tf.function(lambda seed: standard_normal((9,), seed, "float32"))
        graph = function.get_concrete_function(tf.TensorSpec((2,), "int64")).graph
        definition = graph.as_graph_def()
        nodes = [*definition.node, *(n for f in definition.library.function for n in f.node_def)]
        assert not {"PyFunc", "EagerPyFunc"} & {node.op for node in nodes}
        assert not any(a.type == 2 for n in nodes for a in n.attr.values())  # 2 is DT_DOUBLE

    def test_too_large_a_draw_is_refused():
        with pytest.raises(ValueError, match=r"at most 2\*\*31 - 1 elements. Received: shape="):
            standard_normal((2**16, 2**16), tf.constant([1, 2], "int64"), "float32")


if BACKEND == "jax":
    import jax
    import jax.numpy as jnp

    from keras_priors.backend.jax import noise as _noise_jax

    def seeds(count):
        return jnp.stack([jnp.arange(count), jnp.ones(count)], 1).astype("uint32")

    @pytest.mark.parametrize("function", [standard_normal, random_signs])
    def test_compiled_and_mapped_equal_eager(function):
        eager = np.stack([function((50, 3), seed, "float32") for seed in seeds(3)])

        def one(seed):
            return function((50, 3), seed, "float32")

        mapped = (jax.vmap(one), jax.jit(jax.vmap(one)), lambda s: jax.lax.map(one, s))
        for call in mapped:
            np.testing.assert_allclose(call(seeds(3)), eager, rtol=3e-6, atol=1e-6)

    @pytest.mark.parametrize("function", [standard_normal, random_signs])
    def test_lowers_for_cuda(function):
        compiled = jax.jit(lambda seed: function((50, 3), seed, "float32"))
        exported = jax.export.export(compiled, platforms=["cuda"])(seeds(1)[0])
        text = exported.mlir_module()
        assert "custom_call" not in text
        assert "f64" not in text

    def test_words_are_those_of_random123():
        # The known answer of Random123 for threefry2x32-13 with zero key and zero counter.
        words = _noise_jax._words(jnp.zeros(2, "uint32"), 1, 0)
        assert int(words[0]) == 0x9D1C5EC6

    def test_too_large_a_draw_is_refused():
        with pytest.raises(ValueError, match=r"at most 2\*\*31 - 1 elements. Received: shape="):
            standard_normal((2**16, 2**16), seeds(1)[0], "float32")


if BACKEND == "torch":
    import torch

    def test_meta_seed_gives_a_meta_tensor():
        seed = torch.zeros(2, dtype=torch.int32, device="meta")
        assert standard_normal((3, 2), seed, "float32").device.type == "meta"
        assert random_signs((3, 2), seed, "float32").shape == (3, 2)

    def test_dtype_must_be_one():
        with pytest.raises(TypeError, match="must name a dtype"):
            standard_normal((3,), torch.zeros(2, dtype=torch.int32), "nn")
