"""The README is short, and its ten lines do what it says."""

import re

import pytest

from tests._house import ROOT

TEXT = (ROOT / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)


def test_it_is_short():
    assert TEXT.count("\n") < 150
    assert "make demo" in TEXT
    assert "make test" in TEXT
    assert len(re.findall(r"^!\[", TEXT, re.M)) == 1


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The posterior that prior and data have:UserWarning")
def test_code_blocks_run():
    assert len([line for line in BLOCKS[0].splitlines() if line]) <= 12
    names = {}
    for block in BLOCKS:
        exec(compile(block, "README.md", "exec"), names)
    accuracy = (names["predictive"].probabilities.argmax(-1) == names["y"][1500:]).mean()
    assert accuracy > 0.8
    assert names["posterior"].predict(names["x_r"]).mean.shape == (200, 1)
