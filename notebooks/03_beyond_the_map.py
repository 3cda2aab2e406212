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

plt.rcParams.update(
    {
        "figure.dpi": 90,
        "font.size": 11,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlesize": 12,
        "legend.frameon": False,
    }
)
INK, PALE, COLOUR = "#222222", "#d4d4d4", "#2f6f9f"

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
edge = np.linspace(-3, 4, 120), np.linspace(-3, 3.5, 110)
grid = np.stack(np.meshgrid(*edge), axis=-1).reshape(-1, 2).astype("float32")
shown = {name: p.predict(grid, seed=0, verbose=0) for name, p in posteriors.items()}

figure, axes = plt.subplots(2, 3, figsize=(10, 6.6), sharex=True, sharey=True)
figure.subplots_adjust(left=0.02, right=0.87, top=0.94, bottom=0.02, wspace=0.05, hspace=0.14)
for axis, (name, predictive) in zip(axes.flat, shown.items(), strict=True):
    entropy = predictive.entropy.reshape(len(edge[1]), len(edge[0]))
    image = axis.contourf(*edge, entropy, np.linspace(0, np.log(2), 15), cmap="Blues")
    probability = predictive.probabilities.reshape(entropy.shape)
    axis.contour(*edge, probability, [0.5], colors=INK, linewidths=1)
    for label, marker in ((0, "o"), (1, "^")):
        points = x[y[:, 0] == label]
        axis.plot(*points.T, marker, color=INK, markersize=3.5, markerfacecolor="white")
    axis.set(title=name, xticks=[], yticks=[])
bar = figure.colorbar(image, cax=figure.add_axes((0.89, 0.15, 0.015, 0.7)))
bar.set_ticks([0, 0.35, np.log(2)], labels=["0", "0.35", "log 2"])
bar.set_label("entropy of the prediction (nats)")
plt.show()

# %% [markdown]
# *Dark: no idea which class. The line is where both are as likely. The MAP is sure everywhere but
# along its one line, also where there has never been a point. The others open up away from the
# data, each as far as it sees of the posterior: Laplace and mean field around one bend of the line,
# the ensemble at its five ends, SGHMC and NUTS wherever the weights can go.*

# %%
far = np.linalg.norm(grid - [0.5, 0.25], axis=1) > 3
doubt = {name: float(np.mean(p.entropy[far])) for name, p in shown.items()}
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
table

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

figure, axes = plt.subplots(1, 2, figsize=(10, 3.6), width_ratios=[1.2, 1])
figure.subplots_adjust(left=0.09, right=0.98, top=0.9, bottom=0.16, wspace=0.2)
beta = exact.draws(2000, seed=0)["line/kernel"][:, :, 0]
order = np.argsort(np.median(beta, axis=0))
low, high = np.quantile(beta, [0.05, 0.95], axis=0)
for place, k in enumerate(order):
    axes[0].plot([low[k], high[k]], [place, place], color=COLOUR, linewidth=2)
    axes[0].plot(np.median(beta[:, k]), place, "o", color=COLOUR)
axes[0].axvline(0, color=PALE, zorder=0)
axes[0].set_yticks(range(10), [data.feature_names[k] for k in order])
axes[0].set_title("effect on the disease (standard deviations)")

sigma = exact.draws(2000, seed=0)["noise/scale"].reshape(-1)
axes[1].hist(sigma, 40, density=True, color=PALE, label="NUTS")
at = np.linspace(0.55, 0.9, 200)
mean, sd = (float(f()["noise/scale"].reshape(())) for f in (laplace.mean, laplace.stddev))
axes[1].plot(at, stats.norm(mean, sd).pdf(at), color=COLOUR, label="Laplace")
axes[1].set_title("standard deviation of the noise")
axes[1].set_yticks([])
axes[1].legend()
plt.show()

# %% [markdown]
# *Left: medians and central 90% of the coefficients. Right: what is known of the noise. Laplace has
# the right width and sits a little low: it stands where all weights are at their best together,
# and a line that fits its 221 patients as well as it can leaves too little noise. NUTS averages
# over all lines.*

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

figure, axis = plt.subplots(figsize=(6, 3))
figure.subplots_adjust(left=0.13, right=0.97, top=0.93, bottom=0.2)
axis.semilogx(widths, evidence, color=COLOUR)
axis.axvline(best, color=PALE, zorder=0)
axis.set(xlabel="standard deviation of the prior of β", ylabel="log p(y | x) (nats)")
axis.set_ylim(max(evidence) - 40, max(evidence) + 4)
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
