"""Writes tests/dear_tests.txt: the tests that `--share-dear` runs on TensorFlow or JAX.

    make test BACKEND=tensorflow PYTEST_ARGS="--junitxml=build/tensorflow-{part}.xml"
    make test BACKEND=jax PYTEST_ARGS="--junitxml=build/jax-{part}.xml"
    .venv/bin/python tools/list_dear_tests.py --tensorflow build/tens*.xml --jax build/jax*.xml

A function is listed whose cases take `DEAR` seconds or more in the mean of the two backends, and
each of whose cases runs on both; of one that has a case which is skipped on a backend, those dear
cases that run on both. What is about one backend, as its programs, an import or the demo, is never
shared.
Reports of runs with `--share-dear` have half of what is listed, which then stays listed.
"""

import argparse
import pathlib
import sys
import xml.etree.ElementTree as ElementTree
from collections import defaultdict

ROOT = pathlib.Path(__file__).resolve().parent.parent
LIST = ROOT / "tests" / "dear_tests.txt"
DEAR = 0.15
OF_ONE_BACKEND = ("tests/backend/", "tests/test_import.py", "tests/test_demo.py")
HEAD = "# Written by tools/list_dear_tests.py; see `--share-dear` in conftest.py.\n"


def node_id(classname, name):
    """pytest's name of a test: JUnit joins file and class by dots."""
    parts = classname.split(".")
    for length in range(len(parts), 0, -1):
        path = pathlib.Path(*parts[:length]).with_suffix(".py")
        if (ROOT / path).is_file():
            return "::".join([path.as_posix(), *parts[length:], name])
    raise ValueError(f"Each test must be of a file of this tree. Received: {classname}::{name}")


def seconds(*reports):
    """{test: seconds} of those that ran to their end, of all parts of a run."""
    return {
        node_id(case.get("classname"), case.get("name")): float(case.get("time"))
        for report in reports
        for case in ElementTree.parse(report).iter("testcase")
        if not case.findall("skipped")
    }


def dear(*reports, listed=frozenset()):
    """The functions and cases to share, sorted."""
    cases = defaultdict(set)
    for report in reports:
        for test in report:
            if test.startswith("tests/") and not test.startswith(OF_ONE_BACKEND):
                cases[test.split("[")[0]].add(test)
    found = set()
    for function, tests in cases.items():
        found |= tests & listed
        if function in listed:
            found.add(function)
            continue
        time = {
            test: sum(report[test] for report in reports) / len(reports)
            for test in tests
            if all(test in report for report in reports)
        }
        if len(time) < len(tests):
            found |= {test for test in time if time[test] >= DEAR}
        elif sum(time.values()) >= DEAR * len(tests):
            found.add(function)
    return sorted(found)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for backend in ("tensorflow", "jax"):
        parser.add_argument(f"--{backend}", nargs="+", required=True, metavar="report.xml")
    parser.add_argument("--anew", action="store_true", help="forget what is listed")
    arguments = parser.parse_args()
    listed = frozenset() if arguments.anew else frozenset(LIST.read_text("utf-8").split("\n")[1:-1])
    reports = seconds(*arguments.tensorflow), seconds(*arguments.jax)
    tests = dear(*reports, listed=listed)
    LIST.write_text(HEAD + "".join(f"{test}\n" for test in tests), encoding="utf-8")
    print(f"{len(tests)} tests in {LIST.relative_to(ROOT)}", file=sys.stderr)


if __name__ == "__main__":
    main()
