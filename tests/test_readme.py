"""The code in the README runs, in one piece, on every backend."""

import pathlib
import re

import pytest

README = pathlib.Path(__file__).parents[1] / "README.md"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The posterior that prior and data have:UserWarning")
def test_code_blocks_run():
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)
    assert len(blocks) >= 4
    names = {}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)
    accuracy = (names["predictive"].probabilities.argmax(-1) == names["y_test"]).mean()
    assert accuracy > 0.8
    assert names["p"].mean.shape == (200, 1)
