"""docs/benchmarks.md says what the stored results say."""

import importlib.util
import json

import pytest


@pytest.fixture(scope="module")
def tool(project_root):
    path = project_root / "tools" / "benchmark_page.py"
    spec = importlib.util.spec_from_file_location("benchmark_page", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_the_one_of_the_stored_results(tool):
    assert tool.PAGE.read_text() == tool.page()


def test_a_cell_is_the_mean_over_splits_and_its_standard_error(tool, tmp_path):
    row = {"method": "SGHMC", "head": "noise", "set": "yacht", "rows": "test", "date": "2026-01-01"}
    row |= {"rmse": 0.5, "coverage_90": 0.875}
    results = [{**row, "split": k, "ll": ll} for k, ll in enumerate([-1.0, -2.0, -1.5, -1.5])]
    results.append({**row, "split": 4, "rows": "validation", "ll": 100.0})
    results[0]["rmse"] = 0.8
    refused = {key: row[key] for key in ("method", "head", "set", "rows", "date")}
    results.append({**refused, "split": 5, "refused": "no. Lower it."})
    published = {"PBP": {"ll": {"yacht": [-1.63, 0.02]}, "spread": "s.e.", "source": "a paper"}}
    stored = json.loads(
        json.dumps({"commands": ["python x"], "published": published, "results": results})
    )
    lines = tool.uci(stored)
    # Standard deviation 0.408 of four, over the root of four.
    assert "| SGHMC (noise) | -1.50 ± 0.20 (4) |" in lines
    assert "| SGHMC (noise) | 0.5 (0.8) |" in lines
    assert "Ended with an error: SGHMC (noise) on yacht, split 5: no.\n" in lines
    assert "| SGHMC (noise) | 88 ± 0 (4) |" in lines
    assert "| SGHMC (noise) | 100.00 (1) |" in lines  # the row by which it was chosen, apart
    assert "| *PBP* | -1.63 ± 0.02 |" in lines
    assert any("a paper" in line for line in lines)


def test_coverage_is_in_percent_beside_distances(tool):
    held = {"coverage_weights": [0.9, 0.02], "coverage_function": [0.5, None]}
    line = {"case": "line", "method": "Laplace", "data_sets": 3, "mean_error": 0.0, **held}
    net = {"case": "net", "method": "Laplace", "data_sets": 3, "coverage_data": [0.75, 0.05]}
    known = {"case": "blr", "method": "Laplace", "mean_error": 0.125, "sd_ratio": 2.0}
    stored = {"summary": [{**line, "sd_ratio": 1.0}, net, {**known, "data_sets": 1}]}
    stored |= {"command": "c", "date": "2026-01-01", "keras": "3", "backend": "jax"}
    lines = tool.coverage(stored)
    assert "| Laplace | 90 ± 2 | 50 | 75 ± 5 | - |" in lines
    assert "| Laplace | 0.00, 1.00 | 0.12, 2.00 |" in lines
    assert any(part.startswith("3 data sets") for part in lines)


def test_growth_is_the_power_between_two_values(tool):
    points = [("draws", 1, 0.5, 10), ("draws", 100, 5.0, 200), ("rows", 10, 1.0, 3)]
    results = [dict(zip(("axis", "value", "seconds", "mebibytes"), p, strict=True)) for p in points]
    stored = {"command": "c", "date": "2026-01-01", "keras": "3", "backend": "jax", "cores": 2}
    lines = tool.scaling({**stored, "results": results})
    assert "| draws | 1: 0.5, 10; 100: 5, 200 | 0.5 |" in lines
    assert "| rows | 10: 1, 3 |  |" in lines
