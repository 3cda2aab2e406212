"""Runs pytest on a part of the test files at a time, each part in a process of its own.

    python tools/run_tests.py --jobs 2 -q -m "not slow"

Of each `fit` TensorFlow and Keras leave objects that nothing frees, and compilers keep what they
made: in one process the same tests took twice to four times as long at the end of a run as alone.

All arguments but `--jobs`, the number of parts that run at a time, are pytest's; `{part}` in one
becomes the part's number, as in `--junitxml=report-{part}.xml`. With files or folders among them
pytest runs once, on those. The exit status is pytest's: 0 where all passed.
"""

import argparse
import itertools
import os
import pathlib
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

ROOT = pathlib.Path(__file__).resolve().parent.parent
FILES_A_PART = 16
PASSED, FAILED, NO_TESTS = 0, 1, 5
COUNT = re.compile(r"(\d+) (passed|failed|errors?|skipped|deselected|xfailed|xpassed|warnings?)\b")


def parts():
    """Lists of paths: the test files in order, neighbours together, and last all doctests."""
    files = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("tests/**/test_*.py"))
    count = -(-len(files) // FILES_A_PART)
    size, more = divmod(len(files), count)
    ends = [size * k + min(k, more) for k in range(count + 1)]
    cut = [files[start:stop] for start, stop in itertools.pairwise(ends)]
    return [*cut, ["keras_priors"]]


def names_files(arguments):
    """Whether pytest is told what to run."""
    return any(
        not text.startswith("-") and (ROOT / text.split("::")[0]).exists() for text in arguments
    )


def closing_line(output):
    """The last of the lines of pytest that says how many passed, or an empty text."""
    lines = [line for line in output if COUNT.search(line) and " in " in line]
    return lines[-1] if lines else ""


def total(lines, seconds):
    """One closing line in pytest's words for those of all parts."""
    counts = Counter()
    for line in lines:
        for count, word in COUNT.findall(line):
            counts[{"error": "errors", "warning": "warnings"}.get(word, word)] += int(count)
    words = ["failed", *(word for word in counts if word != "failed")]
    listed = ", ".join(f"{counts[word]} {word}" for word in words if counts[word])
    return f"{listed or 'no tests ran'} in {seconds:.2f}s"


def status_of(codes):
    """pytest's exit status of all parts together; a part may have no test that was chosen."""
    ran = [code for code in codes if code != NO_TESTS]
    return max(ran) if ran else NO_TESTS


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--jobs", type=int, default=1, help="parts that run at a time")
    own, arguments = parser.parse_known_args()
    pytest = [sys.executable, "-m", "pytest"]
    if names_files(arguments):
        return subprocess.run([*pytest, *arguments], cwd=ROOT, check=False).returncode
    start, stopped = time.monotonic(), threading.Event()
    first_ends_it = not {"-x", "--exitfirst"}.isdisjoint(arguments)
    chosen = parts()

    def run(number, paths):
        """(exit status, closing line) of a part, whose output stays together."""
        if stopped.is_set():
            return PASSED, ""
        told = [text.replace("{part}", str(number)) for text in arguments]
        command = [*pytest, *told, *paths]
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        output = []
        heading = f"-- part {number} of {len(chosen)}\n"
        if own.jobs == 1:
            print(heading, end="", flush=True)
        for line in process.stdout:
            output.append(line)
            if own.jobs == 1:
                print(line, end="", flush=True)
        code = process.wait()
        if own.jobs > 1:
            print(heading + "".join(output), end="", flush=True)
        # A signal has a negative code, which must not pass for less than a failure.
        code = code if code >= 0 else 128 - code
        if code not in (PASSED, FAILED, NO_TESTS) or (first_ends_it and code == FAILED):
            stopped.set()
        return code, closing_line(output)

    with ThreadPoolExecutor(own.jobs) as pool:
        results = list(pool.map(run, range(1, len(chosen) + 1), chosen))
    codes, lines = zip(*results, strict=True)
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    print(f"-- {len(chosen)} parts on {backend}: {total(lines, time.monotonic() - start)}")
    return status_of(codes)


if __name__ == "__main__":
    sys.exit(main())
