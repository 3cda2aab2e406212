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
# # Which method?
#
# One data set, one net, one prior, all methods: what each costs, and what it gives.
#
# The set is Friedman's of 1991, drawn anew: five inputs that matter, five that do not, and noise of
# a known size. So it is known how well any method could do: the entropy of the noise, -0.19 nats.
# There are 150 rows to learn from, and a net of 193 weights: too few rows to be sure of anything,
# which is where methods differ.

# %%
import time
import warnings

import keras
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_friedman1

import keras_priors as kp

plt.style.use("keras_priors.plots.house")
METHOD = kp.inference
NOISE, SET = 0.2, 0


def friedman(rows, seed):
    x, y = make_friedman1(rows, noise=5 * NOISE, random_state=seed)
    return ((x - 0.5) * 12**0.5).astype("float32"), ((y - 14.4) / 5).astype("float32")[:, None]


x, y = friedman(150, SET)
x_test, y_test = friedman(1000, 1000)
likelihood = kp.likelihoods.Normal(NOISE)
best_possible = 0.5 * np.log(2 * np.pi * np.e * NOISE**2)
f"{best_possible:.3f} nats"


# %%
def new_net(*between):
    net = keras.Sequential(
        [
            keras.Input((10,)),
            keras.layers.Dense(16, activation="tanh", name="hidden"),
            *between,
            keras.layers.Dense(1, name="output"),
        ]
    )
    kp.set_priors(net, kp.NormalPrior(0, 0.5))
    kp.set_num_data(net, x)
    net.compile(keras.optimizers.Adam(0.01), likelihood)
    return net


def trained(net):
    begin = time.perf_counter()
    net.fit(x, y, batch_size=10, epochs=30, verbose=0)
    return time.perf_counter() - begin


keras.utils.set_random_seed(SET)
net, dropout_net = new_net(), new_net(keras.layers.Dropout(0.1))
plain_fit, dropout_fit = trained(net), trained(dropout_net)

# %% [markdown]
# ## All of them
#
# `plain fit` is the net as `fit` leaves it. What begins there has its seconds added.

# %%
methods = {
    "Laplace, last": METHOD.Laplace("full", layers="last"),
    "MeanField": METHOD.MeanField(num_steps=1500, learning_rate=0.02, batch_size=30),
    "IVON": METHOD.IVON(num_steps=1500, batch_size=30),
    "SWAG": METHOD.SWAG(1e-3, batch_size=30, burnin_epochs=5, num_snapshots=30),
    "SGHMC": METHOD.SGHMC(
        1e-3, batch_size=30, num_burnin=1000, num_samples=100, thinning=20, num_chains=2
    ),
    "DeepEnsemble": METHOD.DeepEnsemble(
        3, epochs=30, batch_size=10, optimizer=keras.optimizers.Adam(0.01)
    ),
}
if keras.backend.backend() != "torch":  # NUTS runs on TensorFlow and JAX
    methods["NUTS"] = METHOD.NUTS(num_chains=2, num_warmup=100, num_samples=100, max_tree_depth=5)
methods["MAP"] = METHOD.MAP()
methods["Laplace, full"] = METHOD.Laplace("full")  # around the mode, where MAP ended

posteriors = {"plain fit": METHOD.MAP(0).fit(net, x, y, verbose=0)}
seconds = {"plain fit": plain_fit}
with warnings.catch_warnings():
    # Short runs, of which chains say that their weights differ: here predictions are judged.
    warnings.simplefilter("ignore", UserWarning)
    for name, method in methods.items():
        posteriors[name] = method.fit(net, x, y, seed=SET, verbose=0)
        seconds[name] = posteriors[name].seconds
        if name != "DeepEnsemble":  # whose members begin anew
            seconds[name] += seconds["MAP" if name == "Laplace, full" else "plain fit"]
        if name == "MAP":
            net.set_weights(list(posteriors[name].mean().values()))
    posteriors["MCDropout"] = METHOD.MCDropout().fit(dropout_net, x, y, seed=SET, verbose=0)
    seconds["MCDropout"] = dropout_fit
    net.set_weights(list(posteriors["plain fit"].mean().values()))
    layers = kp.to_variational(net, seed=SET)
    layers.compile(keras.optimizers.Adam(0.01), likelihood)
    seconds["layers"] = plain_fit + trained(layers)
    posteriors["layers"] = METHOD.VariationalLayers().fit(layers, x, y, verbose=0)

    table = kp.compare(posteriors, x_test, y_test, metrics=["nll", "rmse", "coverage"], sort="nll")
table

# %%
kp.plots.compare(table)
plt.show()

# %% [markdown]
# *Each dot with two standard errors over the 1000 test rows; all share one draw of 150 training
# rows, of which these errors know nothing. Another draw moves all of them, and what is close
# changes places. (`SET` above draws another.) What is far apart stays: that is what counts here.*
#
# ## What it costs

# %%
figure, ax = plt.subplots(figsize=(8, 4.2), layout="constrained")
for name, row in table.items():
    ax.plot(seconds[name], row["nll"], "o", color="#1b5a8c")
    side = -1 if name in ("Laplace, last", "MAP", "IVON", "SGHMC") else 1
    ax.annotate(name, (seconds[name], row["nll"]), (6 * side, 0), textcoords="offset points",
                ha="left" if side > 0 else "right", va="center")  # fmt: skip
ax.axhline(best_possible, color="#7f7f7f", linestyle="--", linewidth=1)
ax.annotate("the noise itself", (1, best_possible), (-4, 4), xycoords=("axes fraction", "data"),
            textcoords="offset points", ha="right", va="bottom", color="#7f7f7f")  # fmt: skip
ax.set(xscale="log", xlabel="seconds of training, with compilation", ylabel="nll (nats)")
ax.set_xticks((1, 2, 5, 10, 20, 50), ("1", "2", "5", "10", "20", "50"))
ax.minorticks_off()
ax.margins(x=0.2)

nll = {name: row["nll"] for name, row in table.items()}
joint = {"NUTS", "SGHMC", "Laplace, full"} & set(nll)
little = {"SWAG", "Laplace, last", "plain fit"}
assert best_possible < min(nll.values())
assert max(nll[name] for name in joint) < min(v for name, v in nll.items() if name not in joint)
between = set(nll) - joint - little
assert nll["DeepEnsemble"] < nll["plain fit"]  # its three members are too few to say more
assert min(nll[name] for name in little) > max(nll[name] for name in between - {"DeepEnsemble"})
assert all(table[name]["coverage"] > 0.78 for name in joint)
assert table["plain fit"]["coverage"] < 0.65
{name: f"{seconds[name]:.0f} s" for name in table}

# %% [markdown]
# *Seconds of one machine, most of them compilation at this size: on large data that part vanishes,
# and what a method does per row decides. Three groups:*
#
# - *Near the noise: those that see all weights **together**, by draws (NUTS, SGHMC) or by one full
#   covariance (Laplace). Their 90% intervals nearly hold what they promise (coverage).*
# - *In between: independent weights (MeanField, IVON, layers), dropout, an ensemble of three, and
#   MAP, a single net, trained to the true mode. Some predict the mean well, and all are too sure.*
# - *With the plain fit: SWAG, which wanders too little around it, and Laplace of the last layer,
#   whose hidden units stay as they are.*
#
# The benchmarks (docs/benchmarks.md), with many splits and real rows, say the same where they
# ask the same: on few rows SGHMC predicts best, and SWAG hardly better than the fit. They have too
# what this set cannot show. On forest cover and on images, with **many** rows, variational layers
# by the recipe there have fewer nats than the plain fit, and nobody runs NUTS.
#
# ## When to take which
#
# | what you have | take | why |
# |---|---|---|
# | few rows, a small net | `NUTS`; `SGHMC` for larger ones | the posterior itself |
# | a trained small net | `Laplace("full")` | one matrix of weights × weights |
# | a trained large net | `Laplace(layers="last")` | cheap, and little of the doubt |
# | many rows, to serve or prune | variational layers, `IVON` | one fit; a width per weight |
# | many rows, and patience | `DeepEnsemble` | nothing to tune; members times the price |
# | a net with dropout | `MCDropout` | no more training |
# | plain SGD that has settled | `SWAG` | some more epochs |
# | nothing but a number to report | `MAP` | the mode, and no doubt |
#
# Then check what you took, on rows held back: `kp.compare` is one call.
