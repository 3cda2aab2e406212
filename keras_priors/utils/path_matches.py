"""Whether a pattern names a weight."""

import fnmatch


def path_matches(path: str, pattern: str) -> bool:
    """Whether the path, or what is left without names at its beginning, matches the pattern.

    "dense/kernel" is found within "sequential_3/dense/kernel", whatever Keras counted up to.
    """
    return path == pattern or any(fnmatch.fnmatchcase(tail, pattern) for tail in tails(path))


def tails(path: str) -> list[str]:
    """The path, and what is left of it without its first name, its first two, and so on."""
    parts = path.split("/")
    return ["/".join(parts[k:]) for k in range(len(parts))]
