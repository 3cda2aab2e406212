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
# # Beyond the MAP
#
# A model and its priors make a posterior. How much of it you see depends on what you pay: one
# point, a normal around that point, several points, or draws. One model, the same few lines for
# each, and what every one of them says.

# %%
import warnings

import arviz as az
import keras
import matplotlib.pyplot as plt
import numpy as np
from scipy import stats
from sklearn.datasets import load_diabetes, make_moons
from sklearn.model_selection import train_test_split

import keras_priors as kp

HOUSE = "keras_priors.plots.house"

# %% [markdown]
# ## 1. A plain Keras model
#
# Two moons, a net of two layers, N(0, 2²) on every weight. It is trained as ever: `fit` finds the
# MAP.

# %%
x, y = make_moons(80, noise=0.2, random_state=0)
x, y = x.astype("float32"), y[:, None].astype("float32")
x_test, y_test = make_moons(2000, noise=0.2, random_state=1)
x_test, y_test = x_test.astype("float32"), y_test[:, None].astype("float32")

keras.utils.set_random_seed(0)
model = keras.Sequential(
    [
        keras.Input((2,)),
        keras.layers.Dense(10, activation="tanh", name="hidden"),
        keras.layers.Dense(1, name="logit"),
    ]
)
kp.set_priors(model, kp.NormalPrior(0, 2))
kp.set_num_data(model, x)
model.compile(keras.optimizers.Adam(0.05), loss=keras.losses.BinaryCrossentropy(from_logits=True))
history = model.fit(x, y, batch_size=40, epochs=200, verbose=0)

# %% [markdown]
# ## 2. Its posterior, by every method
#
# `Method(…).fit(model, x, y)` gives a posterior. The model stays as it is. (The weights of a net
# can change places and signs, so that chains of NUTS differ in them and say so; predictions do not
# care.)

# %%
methods = {
    "MAP": kp.inference.MAP(),
    "Laplace": kp.inference.Laplace("full"),
    "mean field": kp.inference.MeanField(num_steps=3000),
    "ensemble of 5": kp.inference.DeepEnsemble(
        5, batch_size=128, epochs=200, optimizer=keras.optimizers.Adam(0.05)
    ),
    "SGHMC": kp.inference.SGHMC(learning_rate=2e-3, num_burnin=2000, num_samples=200),
    "NUTS": kp.inference.NUTS(num_chains=2, num_warmup=300, num_samples=300),
}
with warnings.catch_warnings():
    warnings.simplefilter("ignore", UserWarning)
    posteriors = {
        name: method.fit(model, x, y, seed=0, verbose=0) for name, method in methods.items()
    }

# %%
with plt.style.context(HOUSE):
    figure, axes = plt.subplots(
        2, 3, figsize=(10, 5.6), sharex=True, sharey=True, layout="constrained"
    )
    for axis, (name, posterior) in zip(axes.flat, posteriors.items(), strict=True):
        kp.plots.decision_boundary(posterior, x, y, margin=0.6, ax=axis)
        axis.collections[0].colorbar.remove()
        axis.set(title=name, xlabel="", ylabel="")
    bar = figure.colorbar(axes[0, 0].collections[0], ax=axes, aspect=40)
    bar.set_ticks([0, 0.35, np.log(2)], labels=["0", "0.35", "log 2"])
    bar.set_label("entropy of the prediction (nats)")
    plt.show()

# %% [markdown]
# *Circles and triangles: the two moons. Dark: no idea which class. The line is where both are as
# likely. The MAP is sure everywhere but along its one line, also where there has never been a
# point. The others open up away from the data, each as far as it sees of the posterior: Laplace and
# mean field around one bend of the line, the ensemble at its five ends, SGHMC and NUTS wherever the
# weights can go.*

# %%
grid = np.stack(np.meshgrid(np.linspace(-3, 4, 36), np.linspace(-3, 3.5, 33)), axis=-1)
far = grid[np.linalg.norm(grid - [0.5, 0.25], axis=-1) > 3].astype("float32")
shown = {name: p.predict(far, seed=0, verbose=0) for name, p in posteriors.items()}
doubt = {name: float(np.mean(p.entropy)) for name, p in shown.items()}
assert doubt["MAP"] < min(doubt["Laplace"], doubt["NUTS"], doubt["SGHMC"])
{name: round(value, 2) for name, value in doubt.items()}

# %% [markdown]
# ## 3. Which one predicts best?
#
# On points that none has seen: negative log likelihood in nats, accuracy, calibration, seconds.
# (`fit_s` holds the compilation, which is most of it here.)

# %%
table = kp.compare(posteriors, x_test, y_test)
assert all(row["accuracy"] > 0.85 for row in table.values())
# So few weights and so many points: what NUTS averages over hardly differs from the best point.
pairs = [posteriors[name].predict(x_test, seed=0).log_prob(y_test) for name in ("NUTS", "MAP")]
apart = np.subtract(*pairs)
assert abs(apart.mean()) < 3 * apart.std() / np.sqrt(len(apart))
kp.plots.compare(table, ["nll", "accuracy", "ece", "fit_s"])
plt.show()
table

# %% [markdown]
# *Hollow: the best of its panel. Bars: two standard errors. Between NUTS and the MAP lies less than
# the noise of these points.*

# %% [markdown]
# ## 4. A regression, and what is known of its noise
#
# y ~ Normal(x β, σ), both unknown: `Dense(1)`, and after it a layer that holds σ.

# %%
data = load_diabetes()
x = (data.data / data.data.std(axis=0)).astype("float32")
y = ((data.target - data.target.mean()) / data.target.std()).astype("float32")[:, None]
x, x_new, y, y_new = train_test_split(x, y, test_size=0.5, random_state=0)

regression = keras.Sequential(
    [
        keras.Input((10,)),
        keras.layers.Dense(1, name="line", kernel_regularizer=kp.NormalPrior(0, 0.5)),
        kp.layers.NoiseScale(prior=kp.HalfCauchyPrior(2.5), name="noise"),
    ]
)
kp.set_priors(regression, {"line/bias": kp.NormalPrior(0, 1)})
likelihood = kp.likelihoods.HeteroscedasticNormal()

nuts = kp.inference.NUTS(num_chains=4, num_warmup=500, num_samples=500)
exact = nuts.fit(regression, x, y, likelihood, seed=0, verbose=0)
laplace = kp.inference.Laplace("full").fit(regression, x, y, likelihood, verbose=0)
exact.summary()

# %% [markdown]
# The chains agree (`r_hat` is 1), and everything that ArviZ draws is at hand.

# %%
idata = exact.to_arviz()
summary = az.summary(idata)
assert summary["r_hat"].max() < 1.02

sigma = exact.draws(2000, seed=0)["noise/scale"].reshape(-1)
mean, sd = (float(f()["noise/scale"].reshape(())) for f in (laplace.mean, laplace.stddev))
with plt.style.context(HOUSE):
    figure, axes = plt.subplots(
        1, 2, figsize=(10, 4.2), width_ratios=[1.2, 1], layout="constrained"
    )
    kp.plots.weights(exact, "line/kernel", ax=axes[0])
    axes[0].axvline(0, color="#d3dce3", zorder=0)
    axes[0].set_yticks(axes[0].get_yticks(), data.feature_names)
    axes[0].set(title="effect on the disease", xlabel="standard deviations")
    axes[1].hist(sigma, 40, density=True, color="#d3dce3", label="NUTS")
    at = np.linspace(0.55, 0.9, 200)
    axes[1].plot(at, stats.norm(mean, sd).pdf(at), label="Laplace")
    axes[1].set(title="standard deviation of the noise", yticks=[])
    axes[1].legend()
    plt.show()

# %% [markdown]
# *Left: the posterior of each coefficient; dashed: its prior, N(0, 0.5²). Right: what is known of
# the noise. Laplace has the right width and sits a little low: it stands where all weights are at
# their best together, and a line that fits its 221 patients as well as it can leaves too little
# noise. NUTS averages over all lines.*

# %%
assert 0 < sigma.mean() - mean < 0.7 * sigma.std()
assert abs(sd / sigma.std() - 1) < 0.15
table = kp.compare({"Laplace": laplace, "NUTS": exact}, x_new, y_new)
assert abs(table["Laplace"]["nll"] - table["NUTS"]["nll"]) < 0.01
table

# %% [markdown]
# ## 5. How wide should the prior be? Ask the evidence
#
# Laplace knows the log marginal likelihood, log p(y | x), at other scales of the prior, without
# another fit, as long as the mode is not far: where it would be, a warning says so, and
# `laplace.tune("each")` lets the mode follow.

# %%
widths = np.geomspace(0.12, 10, 60)
rule = {"line/kernel": 1.0}
evidence = [
    laplace.log_marginal_likelihood({path: float(width) for path in rule}) for width in widths
]
best = float(widths[int(np.argmax(evidence))])

with plt.style.context(HOUSE):
    figure, axis = plt.subplots(figsize=(6, 3), layout="constrained")
    axis.semilogx(widths, evidence)
    axis.axvline(best, color="#d3dce3", linestyle="-", zorder=0)
    axis.set(xlabel="standard deviation of the prior of β", ylabel="log p(y | x) (nats)")
    axis.set_ylim(max(evidence) - 40, max(evidence) + 4)
    axis.set_xticks([0.2, 0.5, 1, 2, 5, 10], ["0.2", "0.5", "1", "2", "5", "10"])
    axis.text(best * 1.1, max(evidence) - 36, f"{best:.2f}")
    plt.show()

# %% [markdown]
# *Too narrow a prior forbids the effects that are there; too wide a one bets on effects that are
# not. Where the evidence is highest is the scale that empirical Bayes takes.*

# %%
assert 0.05 < best < 0.6

# %% [markdown]
# The model stayed as it was. **How much of its posterior you see is a choice of method**, and
# changing it is one line.
