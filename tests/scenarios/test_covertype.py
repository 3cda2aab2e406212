"""The table of `benchmarks/covertype.py`, small: what must be better than what."""

import importlib.util

import pytest

from tests.inference._chains import SHORT_CHAINS


@pytest.mark.slow
@SHORT_CHAINS
def test_posteriors_predict_no_worse_than_the_map(shared_data, project_root):
    path = project_root / "benchmarks" / "covertype.py"
    spec = importlib.util.spec_from_file_location("covertype", path)
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    data = benchmark.covertype(rows=3000, test_rows=5000)
    chosen = [name for name in benchmark.METHODS if name not in ("swag", "mean field")]
    table = benchmark.run(*data, epochs=30, steps=1000, chosen=chosen)
    nll = {name: row["nll"] for name, row in table.items()}
    print(table)
    # Not a trivial net: the frequencies of the classes alone give 1.2.
    assert nll["map"] < 0.65
    assert nll["ensemble of 5"] < nll["map"]
    assert nll["sghmc"] < nll["map"]
    # Of the last layer alone little is unknown.
    assert nll["laplace, last layer"] < nll["map"] + 0.01
