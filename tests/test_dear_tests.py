"""The share of the dear tests that a backend takes, and the list of them."""

import importlib.util
import pathlib

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
DEAR = [f"tests/a.py::test_it[{case}]" for case in range(40)]


@pytest.fixture(scope="module")
def conftest(pytestconfig):
    return pytestconfig.pluginmanager.get_plugin(str(ROOT / "conftest.py"))


@pytest.fixture
def tool():
    spec = importlib.util.spec_from_file_location("tool", ROOT / "tools" / "list_dear_tests.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_dear_case_runs_on_pytorch_and_on_one_of_the_two_that_compile(conftest):
    dear = {"tests/a.py::test_it"}
    on = {b: [c for c in DEAR if conftest.runs_on(b, c, dear)] for b in conftest.BACKENDS}
    assert on["torch"] == DEAR
    one = {b: conftest.runs_on(b, DEAR[0], {DEAR[0]}) for b in conftest.BACKENDS}
    assert one["torch"] and one["tensorflow"] != one["jax"]
    assert sorted(on["tensorflow"] + on["jax"]) == sorted(DEAR)
    assert 10 < len(on["jax"]) < 30


def test_all_others_run_everywhere(conftest):
    names = ["tests/a.py::test_cheap", "tests/a.py::test_it_too[1]"]
    for backend in conftest.BACKENDS:
        assert all(conftest.runs_on(backend, name, {"tests/a.py::test_it"}) for name in names)


def report(path, cases):
    rows = [
        f'<testcase classname="{name}" name="{case}" time="{time}">'
        f"{'<skipped/>' * skipped}</testcase>"
        for name, case, time, skipped in cases
    ]
    path.write_text(f"<testsuites><testsuite>{''.join(rows)}</testsuite></testsuites>")
    return path


def test_the_list_has_what_takes_long_and_runs_on_both(tool, tmp_path):
    name, room = "tests.test_dear_tests", "tests.backend.test_distributions"
    slow, quick = [(name, f"test_slow[{k}]", 1.0, False) for k in range(2)], (name, "q", 0.1, False)
    once = [(name, "test_once[0]", 9.0, False)]
    skipped = (name, "test_once[1]", 0.0, True)
    runs = (name, "test_once[1]", 1.0, False)
    partly = [(name, f"test_p[{k}]", 1.0 - k, False) for k in range(2)]
    others = [quick, *partly, (room, "test_b", 9.0, False)]
    method = ("tests.test_dear_tests.TestIt", "test_m", 0.4, False)
    first = report(tmp_path / "a.xml", [*slow, *once, skipped, *others, method])
    there = (name, "test_p[2]", 1.0, False)
    second = report(tmp_path / "b.xml", [*slow, *once, runs, *others, there, method])
    of = "tests/test_dear_tests.py::"
    expected = [f"{of}TestIt::test_m", f"{of}test_once[0]", f"{of}test_p[0]", f"{of}test_slow"]
    reports = tool.seconds(first), tool.seconds(second)
    assert tool.dear(*reports) == expected
    # Of what is shared already, a report has half: it stays while its cases are there.
    listed = frozenset({f"{of}q", f"{of}test_p[1]", f"{of}gone"})
    assert tool.dear(*reports, listed=listed) == sorted({*expected, f"{of}q", f"{of}test_p[1]"})


def test_the_list_names_tests_that_are_there():
    listed = (ROOT / "tests" / "dear_tests.txt").read_text().split("\n")[1:-1]
    assert len(listed) > 100
    # Renamed or moved, a test runs everywhere again; a list of such names alone would say nothing.
    there = [
        name
        for name in listed
        if (ROOT / name.split("::")[0]).is_file()
        and f"def {name.split('[')[0].split('::')[-1]}(" in (ROOT / name.split("::")[0]).read_text()
    ]
    assert len(there) > 0.8 * len(listed)
