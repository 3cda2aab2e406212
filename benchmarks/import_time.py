"""Seconds that `import keras_priors` adds to `import keras`, as JSON.

    KERAS_BACKEND=jax python benchmarks/import_time.py

Each import is in a fresh process, `import keras` alone and with `import keras_priors` in turn.
"added" is the median of what the second import took within its process, after Keras, also in
processor time, which other work on the machine does not touch; "difference" is that of the medians
of the two kinds of process, and has the noise of Keras' own seconds.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys

SCRIPT = """
import sys, time
def now():
    return time.perf_counter(), time.process_time()
begin = now()
import keras
middle = now()
if sys.argv[1] == "both":
    import keras_priors
end = now()
print(middle[0] - begin[0], end[0] - middle[0], end[1] - middle[1])
"""
KINDS = ("keras", "both")


def seconds(kind: str) -> tuple[float, ...]:
    """(import of keras, import of keras_priors after it, processor time of the second)."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, kind], check=True, capture_output=True, text=True
    )
    return tuple(float(part) for part in done.stdout.split()[-3:])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="processes of each kind")
    rounds = parser.parse_args().rounds
    for kind in KINDS:
        seconds(kind)  # what is on disk only is read, and compiled to bytecode
    found: dict[str, list[tuple[float, ...]]] = {kind: [] for kind in KINDS}
    for _ in range(rounds):
        for kind in KINDS:
            found[kind].append(seconds(kind))
    totals = {kind: statistics.median(one[0] + one[1] for one in found[kind]) for kind in KINDS}
    result = {
        "backend": os.environ.get("KERAS_BACKEND", "tensorflow"),
        "cpus": os.cpu_count(),
        "rounds": rounds,
        "keras": totals["keras"],
        "keras and keras_priors": totals["both"],
        "added": statistics.median(one[1] for one in found["both"]),
        "added, processor": statistics.median(one[2] for one in found["both"]),
        "difference": totals["both"] - totals["keras"],
    }
    rounded = {name: round(v, 3) if isinstance(v, float) else v for name, v in result.items()}
    print(json.dumps(rounded, indent=2))


if __name__ == "__main__":
    main()
