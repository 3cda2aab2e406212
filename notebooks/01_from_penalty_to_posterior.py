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
# # From penalty to posterior
#
# *How would you put priors on the weights of a Keras model?* One way is a regularizer that is the
# log density of the prior. *Would that not just give the MAP estimate?* Not necessarily: it
# depends on how you do the inference.
#
# One model, three fits, and a digit that none of them has seen.

# %%
import keras
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split

import keras_priors as kp

HOUSE = "keras_priors.plots.house"

# %% [markdown]
# ## The data
#
# The 8x8 digits that scikit-learn ships. The zeros to eights are for training and testing. All
# nines are put away.

# %%
x, y = load_digits(return_X_y=True)
x = (x / 16).astype("float32")
nines = x[y == 9]
x_train, x_test, y_train, y_test = train_test_split(
    x[y < 9], y[y < 9], test_size=300, random_state=0, stratify=y[y < 9]
)
assert 9 not in y_train
f"{len(x_train)} digits to train on, {len(x_test)} to test on, {len(nines)} nines"

# %% [markdown]
# ## 1. Plain
#
# Softmax regression: one weight for each pixel and class. It has ten outputs; the last one never
# gets an example.

# %%
BATCH, EPOCHS = 128, 80


def fit(model):
    steps = EPOCHS * -(-len(x_train) // BATCH)
    rate = keras.optimizers.schedules.CosineDecay(0.05, steps)
    model.compile(keras.optimizers.Adam(rate), loss="sparse_categorical_crossentropy")
    model.fit(x_train, y_train, batch_size=BATCH, epochs=EPOCHS, verbose=0)


keras.utils.set_random_seed(1)

x_in = keras.Input(shape=x_train.shape[1:])
h = keras.layers.Dense(10, use_bias=False)(x_in)
out = keras.layers.Activation("softmax")(h)
plain = keras.Model(x_in, out)

fit(plain)

# %% [markdown]
# ## 2. A prior as a penalty: the MAP estimate
#
# The prior is a Keras regularizer. `set_num_data` tells it how many observations there are, so
# that the loss is the negative log posterior per observation, up to a constant.

# %%
x_in = keras.Input(shape=x_train.shape[1:])
h = keras.layers.Dense(10, use_bias=False, kernel_regularizer=kp.NormalPrior(0, 1))(x_in)
out = keras.layers.Activation("softmax")(h)
mapped = keras.Model(x_in, out)

kp.set_num_data(mapped, x_train)
fit(mapped)

# %% [markdown]
# The penalty is −log p(w) / N and nothing else.

# %%
kernel = keras.ops.convert_to_numpy(mapped.layers[1].kernel)
log_density = -0.5 * np.sum(kernel**2) - 0.5 * kernel.size * np.log(2 * np.pi)
(penalty,) = mapped.losses
assert np.isclose(keras.ops.convert_to_numpy(penalty), -log_density / len(x_train), rtol=1e-4)

# %% [markdown]
# ## 3. The same prior, another inference: the posterior
#
# `VariationalDense` for `Dense`: the name alone. `fit` now finds a distribution over the weights.

# %%
x_in = keras.Input(shape=x_train.shape[1:])
h = kp.VariationalDense(10, use_bias=False, kernel_regularizer=kp.NormalPrior(0, 1))(x_in)
out = keras.layers.Activation("softmax")(h)
variational = keras.Model(x_in, out)

kp.set_num_data(variational, x_train)
fit(variational)

# %% [markdown]
# ## On the digits they know, the three agree

# %%
models = {"plain": plain, "MAP": mapped, "variational": variational}
known = {name: kp.predict(model, x_test, seed=0) for name, model in models.items()}
unseen = {name: kp.predict(model, nines, seed=0) for name, model in models.items()}

accuracy = {
    name: float(np.mean(p.probabilities.argmax(axis=-1) == y_test)) for name, p in known.items()
}
assert known["variational"].draws.shape == (100, len(x_test), 10)
assert known["plain"].num_samples == known["MAP"].num_samples == 1
assert min(accuracy.values()) > 0.93
{name: round(value, 3) for name, value in accuracy.items()}

# %% [markdown]
# ## What each knows about the weights

# %%
posterior = variational.layers[1].kernel_posterior
weights = {
    "plain": plain.layers[1].kernel,
    "MAP": mapped.layers[1].kernel,
    "posterior mean": posterior.mean(),
    "posterior sd": posterior.stddev(),
}
weights = {name: keras.ops.convert_to_numpy(w) for name, w in weights.items()}

with plt.style.context(HOUSE):
    figure, axes = plt.subplots(4, 10, figsize=(10, 4.4), layout="compressed")
    kp.plots.kernel_images(variational, shape=(8, 8), ax=axes[2:])
    colours = {"cmap": axes[2, 0].images[0].cmap, "clim": axes[2, 0].images[0].get_clim()}
    for line, name in zip(axes, ("plain", "MAP"), strict=False):
        for c, axis in enumerate(line):
            axis.imshow(weights[name][:, c].reshape(8, 8), **colours)
            axis.set(xticks=[], yticks=[], title=str(c) if name == "plain" else "")
            axis.spines[:].set_visible(False)
    for line, name in zip(axes, ("plain", "MAP", "posterior\nmean", "posterior\nsd"), strict=True):
        line[0].set_ylabel(name, rotation=0, ha="right", va="center")
    for axis in axes[2]:
        axis.set_title("")
    plt.show()

# %% [markdown]
# *One column a class, one scale of colours for the first three rows. Light (yellow) pixels speak
# for the class, dark (blue) ones against it. The prior keeps the MAP small; the posterior mean is
# close to it. The last row is what a point estimate cannot say: pale weights are pinned down, dark
# ones are as unknown as before the data. Those are the margins, which are blank in all images, and
# the whole class 9, which had no examples.*

# %%
blank = x_train.max(axis=0) == 0
sd = weights["posterior sd"]
assert np.all(sd[blank] > 0.9)
assert sd[:, 9].mean() > 0.8
assert np.median(sd[~blank, :9]) < 0.7
assert np.linalg.norm(weights["MAP"]) < 0.7 * np.linalg.norm(weights["plain"])
assert np.corrcoef(weights["MAP"].ravel(), weights["posterior mean"].ravel())[0, 1] > 0.8

# %% [markdown]
# ## A digit that they know, and one that they have never seen
#
# Both are chosen by rule. Of the test digits that all three get right, and of the nines to which
# the plain fit gives another class with more than 95%: the one of median entropy under the
# posterior.


# %%
def typical(predictive, rows):
    entropy = predictive.entropy[rows]
    return int(rows[np.argsort(entropy)[len(rows) // 2]])


right = np.all([p.probabilities.argmax(axis=-1) == y_test for p in known.values()], axis=0)
certain = unseen["plain"].probabilities[:, :9].max(axis=-1) > 0.95
seen_row = typical(known["variational"], np.flatnonzero(right))
nine_row = typical(unseen["variational"], np.flatnonzero(certain))

cases = (
    (f"a test digit: {y_test[seen_row]}", x_test, y_test, known, seen_row),
    ("a nine: never seen", nines, np.full(len(nines), 9), unseen, nine_row),
)
with plt.style.context(HOUSE):
    figure, axes = plt.subplots(
        2, 4, figsize=(10, 4.4), width_ratios=[0.75, 1, 1, 1], layout="constrained"
    )
    for line, (title, images, labels, predictions, i) in zip(axes, cases, strict=True):
        line[0].imshow(images[i].reshape(8, 8), cmap="gray_r", vmin=0, vmax=1)
        line[0].set(xticks=[], yticks=[], title=title)
        line[0].spines[:].set_visible(False)
        for axis, (name, p) in zip(line[1:], predictions.items(), strict=True):
            kp.plots.class_probabilities(p, i, labels, ax=axis)
            axis.set_title(f"{name}: entropy {p.entropy[i]:.2f}")
    plt.show()

# %% [markdown]
# *Bars: predicted probability of each class; dark: the true one, hatched: another that was
# preferred. Lines: 5% to 95% over 100 draws of the weights; a point estimate has none. On the known
# digit all three agree. The nine is no nine to any of them, but only the plain fit is certain of
# what it is instead.*

# %%
surest = {name: float(p.probabilities[nine_row].max()) for name, p in unseen.items()}
assert surest["plain"] > 0.95
assert surest["MAP"] < 0.94
assert surest["variational"] < 0.9
low, high = np.quantile(unseen["variational"].draws[:, nine_row], [0.05, 0.95], axis=0)
assert np.max(high - low) > 0.2
{name: round(value, 3) for name, value in surest.items()}

# %% [markdown]
# ## All test digits, and all nines

# %%
auc = {}
bins = np.linspace(0, np.log(10), 24)
with plt.style.context(HOUSE):
    figure, axes = plt.subplots(
        1, 3, figsize=(10, 2.8), sharex=True, sharey=True, layout="constrained"
    )
    for axis, name in zip(axes, models, strict=True):
        pair = known[name].entropy, unseen[name].entropy
        auc[name] = roc_auc_score(np.repeat([0, 1], [len(e) for e in pair]), np.concatenate(pair))
        axis.hist(pair[0], bins, density=True, color="#d3dce3", label="known digits")
        axis.hist(pair[1], bins, density=True, alpha=0.75, label="nines")
        axis.set(title=name, xlabel="entropy of the prediction (nats)", yticks=[], ylim=(0, 4))
        axis.spines["left"].set_visible(False)
    axes[-1].legend(loc="upper right")
    plt.show()

# %% [markdown]
# *Pale: test digits of the known classes; dark: nines. The false certainty about nines
# goes with the prior, for both inferences: few are taken for another digit at over 90%. What the
# doubt about the weights adds is small here: it moves the nines as a whole, and the known digits
# with them, a little to the right, so the mean entropy rises. (The first pale bar of the plain fit
# is cut off.)*

# %%
doubt = {name: float(np.mean(p.entropy)) for name, p in unseen.items()}
assert doubt["plain"] + 0.2 < doubt["MAP"]
assert doubt["MAP"] < doubt["variational"] < doubt["MAP"] + 0.3
assert np.mean(known["MAP"].entropy) < np.mean(known["variational"].entropy)
assert all(doubt[name] > np.mean(known[name].entropy) + 0.25 for name in models)
assert min(auc.values()) > 0.85

sure = {name: float(np.mean(p.probabilities.max(axis=-1) > 0.9)) for name, p in unseen.items()}
assert sure["plain"] > 0.2
assert sure["MAP"] < 0.1
assert sure["variational"] < 0.1
{
    name: f"mean entropy {doubt[name]:.2f} nats; {sure[name]:.0%} taken, at over 90%, for another"
    for name in models
}

# %% [markdown]
# Part of the entropy is doubt about the weights, which more data could remove: the mutual
# information between prediction and weights. A point estimate has none of it.

# %%
parts = {
    "known digits": float(np.mean(known["variational"].mutual_information)),
    "nines": float(np.mean(unseen["variational"].mutual_information)),
}
assert parts["nines"] > 2 * parts["known digits"]
assert np.max(unseen["MAP"].mutual_information) < 1e-6
{name: round(value, 2) for name, value in parts.items()}

# %% [markdown]
# And a limit: no inference teaches a model a class without examples. To all three a nine is
# unlikely to be a nine.

# %%
assert max(float(np.mean(p.probabilities[:, 9])) for p in unseen.values()) < 0.05

# %% [markdown]
# The model and its prior stayed as they were. What they say about a nine depends on **how you do
# the inference**.
