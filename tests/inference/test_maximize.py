"""The search for the mode, in several calls and when it is interrupted."""

import numpy as np
import pytest

import keras_priors as kp
from keras_priors.inference import MAP
from keras_priors.inference import maximize as _maximize
from tests.inference.laplace import test_laplace as linear

NORMAL = kp.likelihoods.Normal(linear.NOISE)


def fit(**kwargs):
    model = linear.at(linear.line(), np.array([5.0, -4.0, 3.0, 2.0], "float32"))
    return MAP(**kwargs).fit(model, linear.X, linear.Y, NORMAL)


def kernel(posterior):
    return linear.flat(posterior.mean())


def test_a_search_in_several_calls_ends_where_one_does(monkeypatch):
    whole = fit(max_iterations=50, tolerance=1e-3)
    monkeypatch.setattr(_maximize, "_CALL", 2)
    np.testing.assert_allclose(
        kernel(fit(max_iterations=51, tolerance=1e-3)), kernel(whole), atol=1e-3
    )
    np.testing.assert_allclose(kernel(whole), linear.exact()[0], atol=1e-3)


def test_the_bar_is_one_of_the_iterations_there_may_be(monkeypatch, capsys):
    monkeypatch.setattr(_maximize, "_CALL", 2)
    model = linear.at(linear.line(), np.array([5.0, -4.0, 3.0, 2.0], "float32"))
    MAP(50, tolerance=1e-3).fit(model, linear.X, linear.Y, NORMAL, verbose=1)
    out = capsys.readouterr().out
    assert " 2/50" in out and "Unknown" not in out
    assert out.endswith("\n")


def test_an_interrupted_search_gives_the_highest_point_so_far(monkeypatch):
    monkeypatch.setattr(_maximize, "_CALL", 1)
    compiled, calls, within = kp.backend.compile_function, [], []

    def stops_in_the_second_call(function):
        inner = compiled(function)

        def call(*args):
            if within:  # the objective, compiled by itself: a part of the call
                return inner(*args)
            calls.append(1)
            if len(calls) % 2 == 0:
                raise KeyboardInterrupt
            within.append(1)
            try:
                return inner(*args)
            finally:
                within.clear()

        return call

    monkeypatch.setattr(_maximize.backend, "compile_function", stops_in_the_second_call)
    with pytest.warns(UserWarning) as caught:
        posterior = fit(max_iterations=50)
    assert any("interrupted after 1 of at most 50" in str(w.message) for w in caught)
    monkeypatch.undo()
    start = MAP(0).fit(
        linear.at(linear.line(), np.array([5.0, -4.0, 3.0, 2.0], "float32")),
        linear.X,
        linear.Y,
        NORMAL,
    )
    highest = MAP(50, tolerance=1e-3).fit(linear.line_at_mode(), linear.X, linear.Y, NORMAL)
    assert start.log_posterior < posterior.log_posterior < highest.log_posterior


def test_the_line_search_traces_the_density_once(monkeypatch, backend):
    """It names it in eight places; a search traced each of them."""
    if backend == "torch":
        pytest.skip("PyTorch traces nothing")
    with_gradient, traced = kp.inference.LogPosterior.with_gradient, []

    def counted(*args):
        density = with_gradient(*args)

        def counting(z, data):
            traced.append(1)
            return density(z, data)

        return counting

    monkeypatch.setattr(kp.inference.LogPosterior, "with_gradient", counted)
    fit(max_iterations=50, tolerance=1e-3)
    assert len(traced) == 1
