# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Three models, three ways to write them, one step to Bayes
#
# A line, a boundary between two classes, a deep net. Each is an equation, a network and a few
# matrices: three pictures of the same parameters. Then each becomes Bayesian, by the same small
# step: where there was **one number** for a parameter, there is **a distribution**, which says how
# sure the data make us of that number.

# %%
import keras
import matplotlib.pyplot as plt
import numpy as np
from scipy import stats
from sklearn.datasets import make_moons

import keras_priors as kp

plt.style.use("keras_priors.plots.house")

# %% [markdown]
# ## How the pictures are drawn
#
# One small mark stands for a parameter, in every picture: a bar where it is a number, a hill where
# it is a distribution. The tick below a mark is zero. (This cell only draws; skip it at will.)

# %%
BLUE, ORANGE, GREY, PALE = "#1b5a8c", "#e69f00", "#7f7f7f", "#d3dce3"


def mark(ax, x, y, size, mean, sd, reach):
    """The number `mean` as a bar, or Normal(mean, sd) as a hill, from -reach to reach."""
    width, height = size
    ax.plot([x - width / 2, x + width / 2], [y, y], "-", color=GREY, linewidth=0.7, zorder=4)
    ax.plot([x, x], [y, y - 0.2 * height], "-", color=GREY, linewidth=0.7, zorder=4)
    if sd == 0:
        ax.bar(x + width / 2 * mean / reach, height, 0.09 * width, y, color=ORANGE, zorder=5)
        return
    at = np.linspace(-1, 1, 300)
    hill = stats.norm(mean, sd).pdf(at * reach) * sd * np.sqrt(2 * np.pi)
    ax.fill_between(x + width / 2 * at, y, y + height * hill, color=BLUE, linewidth=0, zorder=5)


def indexed(name, n):
    return [name] if n == 1 else [f"${name}_{k + 1}$" for k in range(n)]


def circle(ax, x, y, name):
    box = {"boxstyle": "circle", "facecolor": "white", "edgecolor": GREY}
    ax.text(x, y, name, ha="center", va="center", zorder=6, bbox=box)


def draw_network(ax, layers, answer, reach):
    """A circle for each value, a line and a mark for each parameter."""
    sizes = [len(layer["kernel"][0]) for layer in layers] + [1]
    height = 0.95 / max(sizes)
    size = (0.3, 0.16) if sum(sizes) < 5 else (0.17, 0.28 * height)
    columns = []
    for c, n in enumerate(sizes):
        rows = n + (c < len(layers))  # and a constant 1, for the bias
        columns.append([(c, height * ((rows - 1) / 2 - r)) for r in range(rows)])
    for c, layer in enumerate(layers):
        means, sds = (np.vstack([layer["kernel"][k], layer["bias"][k]]) for k in (0, 1))
        for i, (x0, y0) in enumerate(columns[c]):
            for j, (x1, y1) in enumerate(columns[c + 1][: means.shape[1]]):
                ax.plot([x0, x1], [y0, y1], "-", color=PALE, linewidth=1, zorder=1)
                t = (
                    0.5
                    if means.shape[1] == 1 and len(layers) == 1
                    else 0.24 + 0.56 * i / (len(means) - 1)
                )
                at = x0 + t, y0 + t * (y1 - y0) - size[1] / 2
                mark(ax, *at, size, means[i, j], sds[i, j], reach)
        names = [*indexed("xh"[c > 0], len(means) - 1), "1"]
        for place, name in zip(columns[c], names, strict=True):
            circle(ax, *place, name)
    circle(ax, *columns[-1][0], answer)
    ax.set(xlim=(-0.2, len(layers) + 0.2), ylim=(-0.62, 0.62))
    ax.axis("off")


def draw_matrices(ax, layers, link, reach):
    """For each layer: values · matrix + bias, a mark in each cell."""

    def grid(x, y, table, name):
        for i, line in enumerate(table):
            for j, cell in enumerate(line):
                corner = x + j, y - i - 1
                ax.add_patch(plt.Rectangle(corner, 1, 1, facecolor="none", edgecolor=PALE))
                if isinstance(cell, str):
                    ax.text(x + j + 0.5, y - i - 0.5, cell, ha="center", va="center", fontsize=9)
                else:
                    mark(ax, x + j + 0.5, y - i - 0.8, (0.84, 0.6), *cell, reach)
        ax.text(x + len(table[0]) / 2, y + 0.12, name, ha="center", va="bottom", fontsize=8)
        return x + len(table[0])

    y = 0
    for c, layer in enumerate(layers):
        means, sds = layer["kernel"]
        n, m = means.shape
        middle = y - n / 2
        x = grid(0, middle + 0.5, [indexed("xh"[c > 0], n)], f"1 × {n}")
        ax.text(x + 0.4, middle, "·", ha="center", va="center", fontsize=14)
        cells = [[(means[i, j], sds[i, j]) for j in range(m)] for i in range(n)]
        x = grid(x + 0.8, y, cells, f"W: {n} × {m}")
        ax.text(x + 0.5, middle, "+", ha="center", va="center", fontsize=12)
        x = grid(
            x + 1, middle + 0.5, [list(zip(*np.vstack(layer["bias"]), strict=True))], f"b: 1 × {m}"
        )
        ends = link if c == len(layers) - 1 else "→ tanh → h"
        ax.text(x + 0.3, middle, ends, ha="left", va="center")
        y -= n + 1.1
    ax.set(xlim=(-0.1, x + 0.4 + 0.5 * len(link)), ylim=(y + 0.9, 1))
    if len(layers) > 1:
        ax.set_xlim(-0.1, 15)
    ax.set_aspect("equal")
    ax.axis("off")


def parameters(posterior):
    """Of every layer {"kernel": (means, sds), "bias": (means, sds)}; of a point the sd is 0."""
    mean, sd = posterior.mean(), posterior.stddev()
    layers = {path.split("/")[0] for path in mean}
    return [
        {
            name: tuple(np.atleast_2d(v[f"{layer}/{name}"]) for v in (mean, sd))
            for name in ("kernel", "bias")
        }
        for layer in sorted(layers)
    ]


def three_ways(pair, equation, answer, link, size=(11, 5)):
    """Equation, network and matrices of the same model, with numbers and with distributions."""
    every = [parameters(posterior) for posterior in pair]
    pairs = [pair for layers in every for layer in layers for pair in layer.values()]
    reach = 1.05 * max(np.max(np.abs(mean) + 2.5 * sd) for mean, sd in pairs)
    _, axes = plt.subplots(2, 3, figsize=size, width_ratios=[0.6, 1.1, 1.4], layout="constrained")
    titles = "one number for each parameter", "one distribution for each parameter"
    for line, layers, title in zip(axes, every, titles, strict=True):
        count = sum(layer[name][0].size for layer in layers for name in layer)
        text = f"{equation}\n\n{title[:-9]}\nof {count} parameters"
        if count == 2:
            values = [layers[0][name] for name in ("kernel", "bias")]
            numbers = [f"{m.item():.2f}" + (f" ± {s.item():.2f}" if s.item() else "")
                       for m, s in values]  # fmt: skip
            text = f"{equation}\n\nw = {numbers[0]}\nb = {numbers[1]}"
        line[0].text(0.5, 0.5, text, ha="center", va="center", fontsize=12)
        line[0].axis("off")
        draw_network(line[1], layers, answer, reach)
        draw_matrices(line[2], layers, link, reach)
        line[1].set_title(title, pad=12)


# %% [markdown]
# ## The models
#
# All three are Keras models of the same kind of layer. Every parameter begins with the same
# opinion, the **prior**: it is around zero, and hardly beyond ±4. `MAP` then looks for the one most
# plausible value of each. `MeanField` looks for all the values that are plausible, and gives their
# distribution, the **posterior**. The model is the same for both.


# %%
def both(sizes, x, y, likelihood):
    keras.utils.set_random_seed(0)
    hidden = [keras.layers.Dense(size, activation="tanh") for size in sizes[1:-1]]
    model = keras.Sequential([keras.Input((sizes[0],)), *hidden, keras.layers.Dense(sizes[-1])])
    kp.set_priors(model, kp.NormalPrior(0, 2))
    point = kp.inference.MAP().fit(model, x, y, likelihood, verbose=0)
    model.set_weights(list(point.mean().values()))  # the second begins where the first ended
    search = kp.inference.MeanField(num_steps=3000, learning_rate=0.02)
    return point, search.fit(model, x, y, likelihood, seed=0, verbose=0)


# %% [markdown]
# ## 1. A line: linear regression
#
# Twelve points, and a noise of standard deviation 0.5.

# %%
rng = np.random.default_rng(3)
x = rng.uniform(-1.5, 1.5, (12, 1)).astype("float32")
y = (1.2 * x + 0.4 + 0.5 * rng.standard_normal((12, 1))).astype("float32")

line, bayes_line = both((1, 1), x, y, kp.likelihoods.Normal(0.5))
three_ways([line, bayes_line], "$y = w\\,x + b$", "y", "= y")

design = np.column_stack([x, np.ones(len(x))])
covariance = np.linalg.inv(np.eye(2) / 4 + design.T @ design / 0.25)  # the prior, and the data
exact = covariance @ design.T @ y[:, 0] / 0.25
(point,), (q,) = parameters(line), parameters(bayes_line)
for k, name in enumerate(("kernel", "bias")):
    sd = covariance[k, k] ** 0.5
    assert abs(point[name][0].item() - exact[k]) < 0.1 * sd
    assert abs(q[name][0].item() - exact[k]) < 0.4 * sd
    assert abs(q[name][1].item() / sd - 1) < 0.2

# %% [markdown]
# *Above: the equation, the network and the matrices of a line. Below: the same, with hills in the
# place of bars. The number stands where the hill is highest. How broad the hill is, only the second
# can say.*

# %% [markdown]
# ### What it predicts

# %%
at = np.linspace(-4, 4, 81, dtype="float32")[:, None]
figure, axes = plt.subplots(1, 2, figsize=(10, 3.6), sharey=True, layout="constrained")
titles = "one line", "all the lines that are plausible"
bands = []
for ax, posterior, title in zip(axes, (line, bayes_line), titles, strict=True):
    predictive = posterior.predict(at, seed=0, verbose=0)
    kp.plots.predictive_band(predictive, at, y, x_data=x, ax=ax)
    ax.set_title(title)
    low, high = predictive.interval(0.9, of="mean")
    bands.append((high - low).reshape(-1))
handles, labels = axes[1].get_legend_handles_labels()
for ax in axes:
    ax.get_legend().remove()
figure.legend(handles, labels, loc="outside lower center", ncols=4)

assert bands[0].max() < 1e-5
assert bands[1][0] > 2 * bands[1][40] > 0.2
assert bands[1][-1] > 2 * bands[1][40]

# %% [markdown]
# *Both draw the same line through the points. One line has the same noise around it wherever you
# ask. Many lines fan out where there were no points: that doubt comes on top of the noise.*

# %% [markdown]
# ## 2. A boundary: logistic regression
#
# Two inputs, two classes. The same weighted sum as before, and then σ, which makes a probability of
# any number.

# %%
labels = np.repeat([[0], [1]], 20, axis=0).astype("float32")
x = (rng.normal(0, 0.7, (40, 2)) + [0.7, 0.5] * (2 * labels - 1)).astype("float32")

logistic, bayes_logistic = both((2, 1), x, labels, kp.likelihoods.Bernoulli())
three_ways([logistic, bayes_logistic], "$p = \\sigma(x\\,W + b)$", "p", "→ σ → p")

(point,), (q,) = parameters(logistic), parameters(bayes_logistic)
assert np.all(np.abs(point["kernel"][0] - q["kernel"][0]) < q["kernel"][1])
assert np.min(q["kernel"][1]) > 2 * parameters(bayes_line)[0]["kernel"][1].item()

# %% [markdown]
# *Three parameters now, and hills that are broader than those of the line: a class says less than a
# number does.*
#
# ### What it predicts


# %%
def maps(pair, margin):
    _, axes = plt.subplots(1, 2, figsize=(10, 3.8), sharex=True, sharey=True, layout="constrained")
    titles = "one number for each parameter", "one distribution for each parameter"
    for ax, posterior, title in zip(axes, pair, titles, strict=True):
        kp.plots.decision_boundary(posterior, x, labels, margin=margin, ax=ax)
        ax.set_title(title)
    axes[0].collections[0].colorbar.remove()
    axes[1].set_ylabel("")


def in_doubt(posterior, rows):
    """The share of these places where the rarer class has more than one in five."""
    p = posterior.predict(np.asarray(rows, "float32"), seed=0, verbose=0).mean
    return float(np.mean(np.minimum(p, 1 - p) > 0.2))


maps((logistic, bayes_logistic), margin=1.0)

above, through = ([(a, b) for a in np.linspace(-8, 8, 161)] for b in (5.0, 0.0))
assert abs(in_doubt(logistic, above) - in_doubt(logistic, through)) < 0.02
assert in_doubt(bayes_logistic, above) > 1.5 * in_doubt(bayes_logistic, through)

# %% [markdown]
# *On the line both classes are as likely; dark is "no idea which". One boundary leaves a strip of
# doubt, as broad far from the points as among them. Many boundaries agree among the points and part
# beyond them: the strip opens like a fan.*

# %% [markdown]
# ## 3. A deep net
#
# Two layers of four units between inputs and answer. It is the same again, three times: values,
# times a matrix, plus a bias. Between them tanh bends what was straight.

# %%
x, labels = make_moons(200, noise=0.15, random_state=0)
x, labels = x.astype("float32"), labels[:, None].astype("float32")

deep, bayes_deep = both((2, 4, 4, 1), x, labels, kp.likelihoods.Bernoulli())
equation = "\n".join(
    ("$h = \\tanh(x\\,W_1 + b_1)$", "$h = \\tanh(h\\,W_2 + b_2)$", "$p = \\sigma(h\\,W_3 + b_3)$")
)
three_ways([deep, bayes_deep], equation, "p", "→ σ → p", size=(11, 8))

sds = np.concatenate([v[1].ravel() for layer in parameters(bayes_deep) for v in layer.values()])
assert len(sds) == 37
assert np.sum(sds < 0.7) > 8  # decided by the data
assert np.sum(sds > 1.5) > 5  # nearly as broad as the prior

# %% [markdown]
# *Thirty-seven parameters, and no new idea. Some hills are narrow: those weights hold the boundary
# in its place. Others are as broad as the prior was, since the net can do without them, and the
# data have nothing to say about what is not needed.*
#
# The same hills by `kp.plots.weights`, with the prior behind them (dashed):

# %%
kp.plots.weights(bayes_deep, "*/kernel")
plt.show()

# %% [markdown]
# ### What it predicts

# %%
maps((deep, bayes_deep), margin=0.8)

square = [(a, b) for a in np.linspace(-3, 4, 36) for b in np.linspace(-2, 2.5, 23)]
assert in_doubt(bayes_deep, square) > 1.3 * in_doubt(deep, square)
right = [
    np.mean((p.predict(x, seed=0, verbose=0).mean > 0.5) == labels) for p in (deep, bayes_deep)
]
assert min(right) > 0.97

# %% [markdown]
# *Both find the moons. Only the second knows that beyond them the boundary could run another way.*

# %% [markdown]
# ## Remember
#
# - Equation, network and matrices are one thing. Each has the parameters in another place.
# - Bayes changes no equation, no network and no matrix. It changes what stands for a parameter: a
#   number before, a distribution now.
# - A prediction is then the mean over all plausible parameters. Where they agree it is as sure as a
#   single one; where they part it says so.
