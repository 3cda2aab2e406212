"""The journal of a run: steps that are kept are not done again, and files are whole or refused."""

import errno
import gc
import itertools
import json
import os
import pathlib
import signal
import time
import weakref
import zipfile

import keras
import numpy as np
import pytest

from keras_priors.inference import journal as journals

TORCH = keras.config.backend() == "torch"


class Killed(BaseException):
    """What a process that dies does not live to see: no handler of ours names it."""


def run(folder, steps=6, seconds=0.0, until=None):
    """A loop as those of the methods: the sum of what its steps gave, and its state."""
    journal = journals.Journal(pathlib.Path(folder), seconds)
    journal.open({"a": 1}, lambda kept: None)
    state, total = {"x": np.zeros(3)}, 0.0
    with journals.kept_in(journal):
        for k in range(steps):
            if k == until:
                raise Killed
            state, found = journals.current().step(
                "loop", lambda k=k, x=state["x"]: ({"x": x + k}, {"k": np.array(k)}), state
            )
            total += float(found["k"])
        return total, journals.current().end("loop", state)["x"]


@pytest.fixture
def written(tmp_path):
    with pytest.raises(Killed):
        run(tmp_path / "run", until=4)
    return tmp_path / "run"


def expect(folder):
    total, x = run(folder)
    assert total == 15.0
    np.testing.assert_array_equal(x, np.full(3, 15.0))


def test_steps_wait_for_seconds_and_are_lost_with_them(tmp_path):
    with pytest.raises(Killed):
        run(tmp_path, seconds=1e6, until=4)
    assert [p.name for p in tmp_path.iterdir()] == ["run.json"]
    expect(tmp_path)
    # At the end of a run what waits is written.
    assert run(tmp_path / "a", seconds=1e6)[0] == 15.0
    assert len(list((tmp_path / "a").glob("steps-*"))) == 1


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "gone", "renamed"])
@pytest.mark.parametrize("file", ["state.zip", "steps-000000002-000000002.zip", "run.json"])
def test_a_damaged_file_is_refused(written, file, damage):
    path = written / file
    content = path.read_bytes()
    if damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "flipped":
        place = content.find(b"\x93NUMPY") + 140 if file.endswith("zip") else 2
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "renamed":
        path.rename(written / "steps-x.zip")
    else:
        path.unlink()
    if file == "state.zip" and damage == "gone":
        # As if it had not been written yet: what it does not count was not done.
        expect(written)
        return
    with pytest.raises(ValueError, match="Received: "):
        run(written)


def test_what_a_killed_process_left_behind_is_no_part(written):
    # It died while it wrote, and between the steps and their count.
    (written / ".state.zip.0.unfinished").write_bytes(b"half")
    (written / "steps-000000005-000000009.zip").write_bytes(b"half")
    expect(written)
    assert not list(written.glob(".*")) and len(list(written.glob("steps-000000005-*"))) == 1


def test_a_full_disk_is_an_error_and_leaves_what_was_kept(written, monkeypatch):
    def full(self, content):
        with self.open("wb") as file:
            file.write(content[: len(content) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    before = {p.name: p.read_bytes() for p in written.iterdir()}
    with monkeypatch.context() as patch:
        patch.setattr(pathlib.Path, "write_bytes", full)
        with pytest.raises(OSError, match=r"written as a whole.*No space left"):
            run(written)
    assert {p.name: p.read_bytes() for p in written.iterdir()} == before
    expect(written)


def test_ctrl_c_keeps_what_was_done_and_nothing_after(tmp_path):
    journal = journals.Journal(tmp_path, 1e6)
    journal.open({}, lambda kept: None)
    journal.step("loop", lambda: (np.ones(1), None), np.zeros(1))
    journal.stop()
    journal.step("what follows", lambda: (np.ones(1), None), np.zeros(1))
    journal.write()
    with zipfile.ZipFile(next(tmp_path.glob("steps-*"))) as file:
        assert "what follows" not in file.read("form.json").decode()


def test_one_state_waits_to_be_written_and_not_one_a_step(tmp_path):
    journal = journals.Journal(tmp_path, 1e6)
    journal.open({}, lambda kept: None)
    states = []

    def work():
        state = np.zeros(3)
        states.append(weakref.ref(state))
        return {"x": state}, None

    for _ in range(5):
        journal.step("loop", work, None)
    gc.collect()
    assert [state() is not None for state in states] == [False] * 4 + [True]


def test_steps_of_another_version_are_refused(written):
    journal = journals.Journal(written)
    journal.open({}, lambda kept: None)
    with pytest.raises(ValueError, match="loop comes where chains is done"):
        journal.step("chains", lambda: (None, None), None)
    head = json.loads((written / "run.json").read_text())
    (written / "run.json").write_text(json.dumps({**head, "format": 2}))
    with pytest.raises(ValueError, match="format is not 1"):
        run(written)


def test_a_folder_of_other_things_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("a")
    with pytest.raises(ValueError, match="holds other files"):
        run(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_what_runs_within_a_step_is_a_part_of_it(tmp_path):
    def outer():
        inner = journals.current().step("inner", lambda: (None, {"a": np.ones(1)}), None)
        return None, {"b": inner[1]["a"] + 1.0}

    for _ in range(2):
        journal = journals.Journal(tmp_path)
        journal.open({}, lambda kept: None)
        with journals.kept_in(journal):
            assert journals.current().step("outer", outer, None)[1]["b"][0] == 2.0


@pytest.mark.skipif(
    not TORCH or os.name != "posix", reason="a child that is a copy of this process"
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of `fork` beside threads
def test_a_hundred_processes_killed_at_random_lose_nothing(tmp_path):
    random = np.random.default_rng(0)
    steps, kills = 400, 0
    for attempt in itertools.count():
        child = os.fork()
        if child == 0:
            run(tmp_path / "run", steps)
            os._exit(0)
        time.sleep(random.uniform(0.0, 0.02) if attempt < 100 else 60.0 * (attempt > 10**6))
        if attempt < 100:
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        kills += os.WIFSIGNALED(status)
        if attempt >= 100:
            assert status == 0
            break
    total, x = run(tmp_path / "run", steps)
    assert (total, x[0]) == (sum(range(steps)), sum(range(steps)))
    assert kills > 20
