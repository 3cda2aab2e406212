"""Seeds: what a user may give, as the pair of words that the generators take."""

import random
from typing import Any

import numpy as np


def given_words(seed: Any) -> np.ndarray | None:
    """The two uint32 words of an integer or None; None for what has words of its own.

    None takes new ones from Python's generator, as Keras does, so that
    `keras.utils.set_random_seed` makes them repeat. An integer has the same on every backend.
    """
    if seed is None:
        words = np.random.SeedSequence(random.getrandbits(128)).generate_state(2)
        return words.astype("uint32")
    if isinstance(seed, (int, np.integer)) and not isinstance(seed, bool):
        if seed < 0:
            raise ValueError(
                "A seed must be an integer of at least 0. "
                f"Received: seed={seed}. Write, for example, seed={-int(seed)}."
            )
        # Hashed, so that seeds 0, 1, 2 ... give unrelated pairs of words.
        return np.random.SeedSequence(int(seed)).generate_state(2).astype("uint32")
    if isinstance(seed, (str, bytes, float, bool)):
        raise TypeError(
            "A seed must be an integer, a `keras.random.SeedGenerator` or None. "
            f"Received: seed={seed!r} of type {type(seed).__name__}. Write, for example, seed=0."
        )
    return None


def stream_words(stream: int) -> np.ndarray:
    """What `fold_in` adds to a seed, modulo 2^32."""
    return np.array([stream * 0x9E3779B9 % 2**32, 0], "uint32")


def spawned(words: list[int], count: int) -> np.ndarray:
    """The seeds (count, 2) that `spawn_seeds` makes of the words of one."""
    return np.random.SeedSequence(words).generate_state(2 * count, "uint32").reshape(count, 2)
