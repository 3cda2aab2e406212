"""Seeds: what a user may give, and the pair of words that the generators take."""

import random
from typing import Any

import keras
import numpy as np
from keras import ops


def as_seed(seed: Any = None) -> Any:
    """Return a uint32 tensor of shape (2,) for an integer, a `SeedGenerator`, a tensor or None.

    None takes a new one from Python's generator, as Keras does, so that
    `keras.utils.set_random_seed` makes it repeat. An integer gives the same seed on every backend.
    """
    if isinstance(seed, keras.random.SeedGenerator):
        return seed.next()
    if seed is None:
        words = np.random.SeedSequence(random.getrandbits(128)).generate_state(2)
        return ops.convert_to_tensor(words.astype("uint32"), dtype="uint32")
    if isinstance(seed, (int, np.integer)) and not isinstance(seed, bool):
        if seed < 0:
            raise ValueError(
                "A seed must be an integer of at least 0. "
                f"Received: seed={seed}. Write, for example, seed={-int(seed)}."
            )
        # Hashed, so that seeds 0, 1, 2 ... give unrelated pairs of words.
        words = np.random.SeedSequence(int(seed)).generate_state(2)
        return ops.convert_to_tensor(words.astype("uint32"), dtype="uint32")
    if isinstance(seed, (str, bytes, float, bool)):
        raise TypeError(
            "A seed must be an integer, a `keras.random.SeedGenerator` or None. "
            f"Received: seed={seed!r} of type {type(seed).__name__}. Write, for example, seed=0."
        )
    return ops.convert_to_tensor(seed, dtype="uint32")


def fold_in(seed: Any, stream: int) -> Any:
    """The seed of the `stream`-th independent stream beside `seed`; stream 0 is `seed` itself.

    A `SeedGenerator` counts steps in its second word, and users give small numbers as the first:
    the golden-ratio stride keeps streams clear of both. Not for nesting: streams a of b and b of a
    are the same.
    """
    if stream == 0:
        return seed
    words = [stream * 0x9E3779B9 % 2**32, 0]
    return ops.add(seed, ops.convert_to_tensor(words, dtype="uint32"))


def spawn_seeds(seed: Any, count: int) -> Any:
    """NumPy array (count, 2) of uint32: unrelated seeds, of which the first do not depend on count.

    Args:
        seed: what `as_seed` takes.
        count: integer, how many.
    """
    words = ops.convert_to_numpy(as_seed(seed)).tolist()
    return np.random.SeedSequence(words).generate_state(2 * count, "uint32").reshape(count, 2)
