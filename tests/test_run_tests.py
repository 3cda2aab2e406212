"""The runner of `make test`: every file in one part, and no failure lost between them."""

import importlib.util
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
PASSES = "def test_it():\n    assert True\n"
FAILS = "def test_it():\n    assert False\n"


@pytest.fixture
def tool():
    spec = importlib.util.spec_from_file_location("tool", ROOT / "tools" / "run_tests.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def run(tool, tmp_path):
    """Runs a copy of it beside test files of its own: (exit status, output)."""

    def run(files, *arguments):
        (tmp_path / "tools").mkdir()
        (tmp_path / "keras_priors").mkdir()
        (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = -p no:cacheprovider\n")
        source = (ROOT / "tools" / "run_tests.py").read_text()
        small = source.replace(f"FILES_A_PART = {tool.FILES_A_PART}", "FILES_A_PART = 2")
        assert small != source
        (tmp_path / "tools" / "run_tests.py").write_text(small)
        for name, text in files.items():
            path = tmp_path / "tests" / name
            path.parent.mkdir(exist_ok=True, parents=True)
            path.write_text(text)
        done = subprocess.run(
            [sys.executable, "tools/run_tests.py", *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    return run


def test_every_file_is_in_one_part(tool):
    parts = tool.parts()
    listed = [path for part in parts for path in part]
    files = {path.relative_to(ROOT).as_posix() for path in ROOT.glob("tests/**/test_*.py")}
    assert len(files) > 200 and {*listed} == files | {"keras_priors"}
    assert len(listed) == len({*listed})
    assert all(len(part) <= tool.FILES_A_PART for part in parts)


@pytest.mark.parametrize("jobs", [1, 3])
def test_a_failure_in_any_part_is_the_status_of_all(run, jobs):
    files = {f"test_{name}.py": PASSES for name in "abcde"} | {"deep/test_f.py": FAILS}
    code, output = run(files, "--jobs", str(jobs), "-q")
    assert code == 1
    assert "-- 4 parts on" in output and "1 failed, 5 passed in" in output
    assert output.count("-- part ") == 4


def test_parts_without_a_chosen_test_are_no_failure(run):
    code, output = run({"test_a.py": PASSES, "test_b.py": PASSES, "test_c.py": PASSES}, "-k", "b")
    assert code == 0
    assert "1 passed" in output.splitlines()[-1] and "2 deselected" in output.splitlines()[-1]


def test_nothing_chosen_at_all_is_said(run):
    code, output = run({"test_a.py": PASSES}, "-k", "no_such")
    assert code == 5
    assert "passed" not in output.splitlines()[-1]


def test_a_part_that_is_killed_ends_the_run_and_fails_it(run):
    dies = "import os\n\ndef test_it():\n    os.kill(os.getpid(), 9)\n"
    files = {"test_a.py": PASSES, "test_b.py": dies, "test_c.py": PASSES}
    code, output = run(files)
    assert code == 137
    assert "part 3" not in output


def test_the_first_failure_ends_it_when_asked(run):
    code, output = run({"test_a.py": FAILS, "test_b.py": PASSES, "test_c.py": PASSES}, "-x")
    assert code == 1
    assert "part 2" not in output


def test_files_that_are_named_run_alone_and_the_number_of_a_part_is_put_in(run, tmp_path):
    files = {"test_a.py": PASSES, "test_b.py": PASSES, "test_c.py": FAILS}
    code, output = run(files, "tests/test_a.py", "-q")
    assert code == 0 and "1 passed" in output and "part" not in output


def test_each_part_has_a_report_of_its_own(run, tmp_path):
    files = {f"test_{name}.py": PASSES for name in "abc"}
    assert run(files, "--junitxml=report-{part}.xml")[0] == 0
    reports = sorted(tmp_path.glob("report-*.xml"))
    assert [path.name for path in reports[:2]] == ["report-1.xml", "report-2.xml"]
    assert reports[0].read_text().count("<testcase") == 2
