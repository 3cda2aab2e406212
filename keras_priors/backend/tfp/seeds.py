"""Seeds on TensorFlow and JAX: tensors like any other, which programs carry along."""

from typing import Any

import keras
from keras import ops

from keras_priors.backend.seeds import given_words, spawned, stream_words


def next_seed(generator: keras.random.SeedGenerator) -> Any:
    return generator.next()


def as_seed(seed: Any = None) -> Any:
    if isinstance(seed, keras.random.SeedGenerator):
        return next_seed(seed)
    words = given_words(seed)
    return ops.convert_to_tensor(seed if words is None else words, dtype="uint32")


def fold_in(seed: Any, stream: int) -> Any:
    if stream == 0:
        return seed
    return ops.add(seed, ops.convert_to_tensor(stream_words(stream), dtype="uint32"))


def host_step(iterations: Any) -> Any:
    return ops.convert_to_tensor(iterations)


def step_taken(iterations: Any) -> None:
    pass  # known where it lies


def seed_of_step(seed: Any, step: Any) -> Any:
    count = ops.cast(step, "uint32")
    return ops.add(seed, ops.stack([ops.zeros_like(count), count]))


def spawn_seeds(seed: Any, count: int) -> Any:
    return spawned(ops.convert_to_numpy(as_seed(seed)).tolist(), count)
