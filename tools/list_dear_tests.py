"""Writes tests/dear_tests.txt: test functions whose cases `--share-dear` runs on TensorFlow or JAX.

    make test BACKEND=tensorflow PYTEST_ARGS="--junitxml=tensorflow.xml"
    make test BACKEND=jax PYTEST_ARGS="--junitxml=jax.xml"
    .venv/bin/python tools/list_dear_tests.py tensorflow.xml jax.xml

A function is listed whose cases take `DEAR` seconds or more in the mean of the two backends, and
each of whose cases runs on both: one that is skipped on a backend stays where it runs. What the
tests of backends hold is about one backend, and is never shared.
"""

import argparse
import pathlib
import sys
import xml.etree.ElementTree as ElementTree
from collections import defaultdict

ROOT = pathlib.Path(__file__).resolve().parent.parent
LIST = ROOT / "tests" / "dear_tests.txt"
DEAR = 0.3
HEAD = "# Written by tools/list_dear_tests.py; see `--share-dear` in conftest.py.\n"


def node_id(classname, name):
    """pytest's name of a test: JUnit joins file and class by dots."""
    parts = classname.split(".")
    for length in range(len(parts), 0, -1):
        path = pathlib.Path(*parts[:length]).with_suffix(".py")
        if (ROOT / path).is_file():
            return "::".join([path.as_posix(), *parts[length:], name])
    raise ValueError(f"Each test must be of a file of this tree. Received: {classname}::{name}")


def seconds(report):
    """{test: seconds} of those that ran to their end."""
    return {
        node_id(case.get("classname"), case.get("name")): float(case.get("time"))
        for case in ElementTree.parse(report).iter("testcase")
        if not case.findall("skipped")
    }


def dear(*reports):
    """The functions to share, sorted."""
    cases = defaultdict(list)
    for report in reports:
        for test, time in report.items():
            cases[test.split("[")[0]].append((test, time))
    everywhere = set.intersection(*(set(report) for report in reports))
    return sorted(
        function
        for function, timed in cases.items()
        if function.startswith("tests/")
        and not function.startswith("tests/backend/")
        and all(test in everywhere for test, _ in timed)
        and sum(time for _, time in timed) >= DEAR * len(timed)
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("reports", nargs=2, metavar="report.xml")
    functions = dear(*map(seconds, parser.parse_args().reports))
    LIST.write_text(HEAD + "".join(f"{function}\n" for function in functions), encoding="utf-8")
    print(f"{len(functions)} functions in {LIST.relative_to(ROOT)}", file=sys.stderr)


if __name__ == "__main__":
    main()
