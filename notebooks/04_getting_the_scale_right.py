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
# # Getting the scale right
#
# A prior counts once, and every observation counts once. A loss is a *mean* over observations, so
# that the prior must be divided by their number. Nearly every mistake with priors in deep learning
# is a mistake in that number. Here is one weight, whose posterior is known on paper, to see it.

# %%
import keras
import matplotlib.pyplot as plt
import numpy as np
from scipy import stats
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import keras_priors as kp

plt.style.use("keras_priors.plots.house")

# %% [markdown]
# ## One weight
#
# y = w x + noise, with N = 64 rows, noise of standard deviation 1, and the prior w ~ N(0, 0.2²).
# On paper the posterior is normal:
#
# - its precision is that of the prior plus that of the data, 1 / 0.2² + Σ x²;
# - its mean is Σ x y divided by that precision.

# %%
N, PRIOR = 64, 0.2
rng = np.random.default_rng(1)
x = rng.normal(size=(N, 1)).astype("float32")
y = (0.8 * x + rng.normal(size=(N, 1))).astype("float32")

precision = 1 / PRIOR**2 + np.sum(x**2)
exact = stats.norm(np.sum(x * y) / precision, precision**-0.5)
least_squares = np.sum(x * y) / np.sum(x**2)
f"posterior: {exact.mean():.3f} ± {exact.std():.3f}; least squares: {least_squares:.3f}"

# %% [markdown]
# ## The loss, for three opinions about N
#
#     loss(w) = mean over rows of −log p(y | w x)  +  (1 / num_data) · (−log p(w))
#
# The first term pulls to least squares, the second to zero. With `num_data=1` the prior counts as
# much as all data together; with ten times too many rows it hardly counts at all. (Constants are
# taken off, so that the curves can lie beside each other.)

# %%
likelihood = kp.likelihoods.Normal(1.0)


def line(num_data):
    prior = kp.NormalPrior(0, PRIOR, num_data=num_data)
    layer = keras.layers.Dense(
        1, use_bias=False, kernel_initializer="zeros", kernel_regularizer=prior, name="line"
    )
    return keras.Sequential([keras.Input((1,)), layer])


def loss_of(model, w):
    model.set_weights([np.full((1, 1), w, "float32")])
    total = likelihood(y, model(x)) + keras.ops.sum(model.losses)
    return float(keras.ops.convert_to_numpy(total))


grid = np.linspace(-0.1, 1.1, 241)
opinions = {"num_data = 1, the prior 64 times": 1, "num_data = 64": N, "num_data = 640": 10 * N}
lowest = {}
figure, ax = plt.subplots(figsize=(7, 3.6), layout="constrained")
for name, num_data in opinions.items():
    model = line(num_data)
    values = np.array([loss_of(model, w) for w in grid])
    lowest[num_data] = grid[values.argmin()]
    (curve,) = ax.plot(grid, values - values.min(), label=name)
    ax.plot(lowest[num_data], 0, "o", color=curve.get_color(), clip_on=False, zorder=3)
ax.axvline(exact.mean(), color="#7f7f7f", linewidth=1, linestyle=(0, (1, 2)))
ax.annotate("posterior mean,\non paper", (exact.mean(), 0.37), xytext=(6, 0), va="top",
            textcoords="offset points", color="#555555")  # fmt: skip
ax.set(xlabel="w", ylabel="loss, less its least", ylim=(0, 0.38))
ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3)

assert abs(lowest[N] - exact.mean()) < 0.005
assert lowest[1] < 0.05
assert abs(lowest[10 * N] - least_squares) < 0.1 * least_squares

# %% [markdown]
# ## Nobody has to count
#
# `kp.set_num_data(model, x)` counts rows, and tells every prior and every variational layer.
# Learning rate and batch size then mean what they always do: here are batches of 8 and of 64.

# %%
found = {}
for batch in (8, 64):
    keras.utils.set_random_seed(0)
    model = line(None)
    kp.set_num_data(model, x)
    rate = keras.optimizers.schedules.CosineDecay(0.1, 60 * N // batch)
    model.compile(keras.optimizers.Adam(rate), likelihood)
    model.fit(x, y, batch_size=batch, epochs=60, verbose=0)
    found[batch] = keras.ops.convert_to_numpy(model.layers[0].kernel).item()

assert all(abs(w - exact.mean()) < 0.25 * exact.std() for w in found.values())
{f"batches of {batch}": round(w, 3) for batch, w in found.items()} | {
    "on paper": round(float(exact.mean()), 3)
}

# %% [markdown]
# ## The width of the posterior depends on it as well
#
# A point estimate with a wrong N is shifted. A posterior with a wrong N is too wide or too narrow:
# it claims to have seen another number of rows. The variational fit below is of the same weight.

# %%
BATCH, EPOCHS = 16, 100
bayesian = {}
opinions = {"10 times too few": N // 10, "num_data = 64": N, "10 times too many": 10 * N}
for name, num_data in opinions.items():
    keras.utils.set_random_seed(0)
    layer = kp.VariationalDense(
        1, use_bias=False, kernel_prior=kp.NormalPrior(0, PRIOR), num_data=num_data, name="line"
    )
    model = keras.Sequential([keras.Input((1,)), layer])
    rate = keras.optimizers.schedules.CosineDecay(0.05, EPOCHS * N // BATCH)
    model.compile(keras.optimizers.Adam(rate, beta_2=0.95), likelihood)
    model.fit(x, y, batch_size=BATCH, epochs=EPOCHS, verbose=0)
    q = layer.kernel_posterior
    mean, sd = (keras.ops.convert_to_numpy(v).item() for v in (q.mean(), q.stddev()))
    bayesian[name] = stats.norm(mean, sd)

figure, ax = plt.subplots(figsize=(7, 3.2), layout="constrained")
w = np.linspace(-0.3, 1.4, 400)
ax.fill_between(w, exact.pdf(w), color="#d3dce3", label="on paper")
for name, q in bayesian.items():
    ax.plot(w, q.pdf(w), label=name)
ax.set(xlabel="w", ylabel="density", ylim=(0, None))
ax.legend(loc="upper left")

right = bayesian["num_data = 64"]
assert abs(right.std() / exact.std() - 1) < 0.15
assert abs(right.mean() - exact.mean()) < 0.5 * exact.std()
assert bayesian["10 times too few"].std() > 1.2 * exact.std()
assert bayesian["10 times too many"].std() < 0.6 * exact.std()

# %% [markdown]
# ## What the loss is made of
#
# The loss of a variational net is the negative ELBO per observation: how badly the data are
# explained, plus KL / N. `BayesianMonitor` writes both parts down, of training and of validation.
# `KLAnnealing` lets the KL in slowly. In validation it always counts fully, so that `val_loss` is
# the negative ELBO in every epoch. (Twenty epochs do not reach the optimum of the ELBO, which the
# monitor would say, were it not told to keep it to itself.)

# %%
digits, labels = load_digits(return_X_y=True)
digits = (digits / 16).astype("float32")
x_train, x_held, y_train, y_held = train_test_split(digits, labels, test_size=600, random_state=0)

keras.utils.set_random_seed(0)
model = keras.Sequential(
    [
        keras.Input((64,)),
        kp.VariationalDense(32, activation="relu"),
        kp.VariationalDense(10),
    ]
)
kp.set_num_data(model, x_train)
model.compile(keras.optimizers.Adam(0.01), kp.likelihoods.Categorical())
history = model.fit(
    x_train, y_train, batch_size=64, epochs=20, verbose=0, validation_data=(x_held, y_held),
    callbacks=[
        kp.callbacks.KLAnnealing("linear", num_epochs=8),
        kp.callbacks.BayesianMonitor(check_convergence=False),
    ],
)  # fmt: skip
figure, ax = plt.subplots(figsize=(7, 3.4), layout="constrained")
kp.plots.training_curves(history, ax=ax)

logs = history.history
assert np.allclose(logs["val_loss"], -np.array(logs["val_elbo"]), rtol=1e-3)
assert logs["kl_weight"][0] < 0.2 and logs["kl_weight"][-1] == 1

# %% [markdown]
# ## Cold posteriors: a scale that is changed on purpose
#
# Deep nets often predict better where the posterior is made colder than Bayes' rule: at a
# temperature T below 1 the entropy of q counts only T times, and widths shrink by about the square
# root of T (of our weight by exactly that). It is a choice, not a belief that follows from prior
# and likelihood, so that it is never made silently: somebody writes `temperature=0.25`. What can
# choose T is data that were held back, by `kp.inference.tune_temperature`.

# %%
laplace, found = kp.inference.Laplace("full"), {}
figure, ax = plt.subplots(figsize=(7, 3.2), layout="constrained")
for T in (1.0, 0.25, 0.0625):
    posterior = laplace.fit(line(None), x, y, likelihood, temperature=T, verbose=0)
    mean, sd = (m["line/kernel"].item() for m in (posterior.mean(), posterior.stddev()))
    found[T] = mean, sd
    name = "T = 1, Bayes' rule" if T == 1 else f"T = {T:g}"
    ax.plot(w, stats.norm(mean, sd).pdf(w), label=name)
ax.set(xlabel="w", ylabel="density", ylim=(0, None))
ax.legend(loc="upper left")

for T, (mean, sd) in found.items():
    assert np.isclose(mean, exact.mean(), rtol=1e-3)
    assert np.isclose(sd, exact.std() * T**0.5, rtol=1e-3)

# %% [markdown]
# ## Remember
#
# - One number relates prior and data: the number of observations whose mean is the loss.
#   `kp.set_num_data(model, x)` sets it everywhere. Where it was never set, `fit` warns.
# - A sum as the loss, a mean over weights, a KL divided by the batch: each is another N.
# - Batch size and learning rate have no part in it.
# - A temperature is a wrong N on purpose. It says so, in one place, and is chosen by data.
