"""Epochs of several models timed in turn, so that other work on the machine hits all alike."""

import statistics
import time


def epoch_seconds(model, x, y, batch):
    """Wall time of one epoch of `fit`."""
    start = time.perf_counter()
    model.fit(x, y, batch_size=batch, epochs=1, shuffle=False, verbose=0)
    return time.perf_counter() - start


def step_times(models, x, y, batch, rounds, first_steps=1):
    """Milliseconds of a step for each model and round, and seconds of the first step of each."""
    first = {}
    for name, model in models.items():
        head = slice(0, batch * first_steps)
        first[name] = epoch_seconds(model, x[head], y[head], batch)
        epoch_seconds(model, x, y, batch)
    times = {name: [] for name in models}
    for _ in range(rounds):
        for name, model in models.items():
            times[name].append(epoch_seconds(model, x, y, batch) / (len(x) // batch) * 1e3)
    return times, first


def ratio(times, above, below):
    """Median over rounds of the ratio within a round."""
    pairs = zip(times[above], times[below], strict=True)
    return round(statistics.median(a / b for a, b in pairs), 3)


def summarized(times, first, baseline):
    """For each model the median step, its ratio to the baseline, and its first step."""
    return {
        name: {
            "ms_per_step": round(statistics.median(values), 3),
            f"ratio_to_{baseline}": ratio(times, name, baseline if baseline in times else name),
            "first_step_s": round(first[name], 2),
        }
        for name, values in times.items()
    }
