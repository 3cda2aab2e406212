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
# # The model that you already have
#
# A conv net, trained as always. It is right about digits, and sure of everything. Five verbs later
# it says when it does not know, does with a third of its weights, and answers from a file that
# needs no keras_priors: `to_variational`, `fit`, `predict`, `prune`, `export_predictive`.

# %%
import logging
import pathlib
import subprocess
import sys
import tempfile
import zlib

import keras
import matplotlib.pyplot as plt
import numpy as np
from scipy.ndimage import rotate
from sklearn.datasets import load_digits, load_sample_image
from sklearn.model_selection import train_test_split

import keras_priors as kp

plt.style.use("keras_priors.plots.house")
logging.disable(logging.INFO)  # where TensorFlow writes the files of an export

images, labels = load_digits(return_X_y=True)
images = (images / 16).astype("float32").reshape(-1, 8, 8, 1)
x, x_test, y, y_test = train_test_split(images, labels, test_size=700, random_state=0)

# %% [markdown]
# ## 1. It is there, and trained
#
# Plain Keras. Nothing in it has heard of Bayes.

# %%
keras.utils.set_random_seed(0)
net = keras.Sequential(
    [
        keras.Input((8, 8, 1)),
        keras.layers.Conv2D(16, 3, activation="relu", name="edges"),
        keras.layers.Conv2D(24, 3, activation="relu", name="strokes"),
        keras.layers.Flatten(),
        keras.layers.Dense(10, name="logits"),
    ]
)
crossentropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
net.compile(keras.optimizers.Adam(3e-3), crossentropy)
net.fit(x, y, batch_size=64, epochs=20, verbose=0)


def accuracy(model):
    return float(np.mean(model.predict(x_test, verbose=0).argmax(axis=-1) == y_test))


assert accuracy(net) > 0.94
f"{accuracy(net):.1%} of the {len(x_test)} test rows are right"

# %% [markdown]
# ## 2. Convert it
#
# The twin begins at the trained weights, with a narrow distribution around each, and trains on.
# `num_data` says how many rows there are, so that prior and data weigh what they should. Its rate
# is three times that of the plain fit, for the distributions have far to go. For a fair race the
# plain net trains on too, just as long, and both end at the average of their last weights.

# %%
bayesian = kp.to_variational(net, prior=kp.NormalPrior(0, 1), num_data=len(x), seed=0)
plain = keras.models.clone_model(net)
plain.set_weights(net.get_weights())
for model, rate in ((plain, 3e-3), (bayesian, 1e-2)):
    model.compile(keras.optimizers.Adam(rate, use_ema=True), kp.likelihoods.Categorical())
    model.fit(x, y, batch_size=64, epochs=30, verbose=0)

table = kp.compare(
    {"plain": plain, "converted": bayesian}, x_test, y_test, metrics=["accuracy", "nll", "ece"]
)
assert table["converted"]["accuracy"] > table["plain"]["accuracy"] - 0.02 > 0.94
assert table["converted"]["nll"] < table["plain"]["nll"] + 0.03
assert table["converted"]["ece"] < 0.15
table

# %% [markdown]
# *About as accurate on the 700 test rows (±: standard errors), and as good in nats (`nll`, lower is
# better). Of digits as they are it is now less sure than it may be: see `ece`, how far its
# probabilities are off. Rows held back mend that (`kp.calibration.TemperatureScaling`). What the
# doubt is for comes next.*
#
# ## 3. Digits that turn
#
# No net was shown turned digits. Both begin to fail; which of them says so?


# %%
def turned(rows, angle):
    return np.clip(rotate(rows, angle, axes=(1, 2), reshape=False, order=1), 0, 1)


def ask(model, rows):
    return kp.predict(model, rows, 50, seed=0, verbose=0)


nets = {"plain": plain, "converted": bayesian}
angles = np.arange(0, 91, 15)
shown = {name: [ask(model, turned(x_test, a)) for a in angles] for name, model in nets.items()}

figure, axes = plt.subplots(1, 3, figsize=(11, 4), layout="constrained")
wrong, doubt = {}, {}
for name, each in shown.items():
    wrong[name] = np.array([np.mean(p.probabilities.argmax(-1) != y_test) for p in each])
    doubt[name] = np.array([np.mean(1 - p.probabilities.max(-1)) for p in each])
    (line,) = axes[0].plot(angles, doubt[name], marker="o", label=name)
    axes[0].plot(angles, wrong[name], color=line.get_color(), linewidth=1, linestyle=":")
    kp.plots.reliability_diagram(y_test, each[2], label=name, ax=axes[1])
    kp.plots.risk_coverage(y_test, each[2], label=name, ax=axes[2])
axes[0].set(title="doubt; dotted: wrong", xlabel="degrees", xticks=angles, ylim=(0, 1))
axes[1].set_title("at 30°: do they come true?")
axes[2].set_title("at 30°: the surest first")
for ax in axes[1:]:
    ax.get_legend().remove()
figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)

assert np.all(doubt["converted"] > 2 * doubt["plain"])
assert abs(wrong["converted"][1] - doubt["converted"][1]) < 0.2
assert all(w[3] - d[3] > 0.2 for w, d in zip(wrong.values(), doubt.values(), strict=True))
{name: f"{w[2]:.0%} wrong at 30°, and {d[2]:.0%} said" for (name, w), d in
 zip(wrong.items(), doubt.values(), strict=True)}  # fmt: skip

# %% [markdown]
# *Left: the doubt of each net (1 minus its highest probability) and how often it is wrong. The
# converted net is three times as unsure, and its surest answers are right more often. At 15° it
# knows about how often it errs. Beyond, it says too little: a turned digit can look just like
# another, and doubt about weights cannot know that. If your digits will turn, train with turned
# ones.*
#
# ## 4. Pictures that are no digits
#
# Patches of two photographs, a temple and a flower, as 8 by 8 pixels.


# %%
def patches(name):
    grey = load_sample_image(name).mean(axis=-1)[:384, :640]
    small = grey.reshape(48, 8, 80, 8).mean(axis=(1, 3))
    rows = small.reshape(6, 8, 10, 8).swapaxes(1, 2).reshape(-1, 8, 8, 1)
    low, high = rows.min(axis=(1, 2), keepdims=True), rows.max(axis=(1, 2), keepdims=True)
    return ((rows - low) / (high - low)).astype("float32")


photographs = np.concatenate([patches("china.jpg"), patches("flower.jpg")])
strange = {name: ask(model, photographs) for name, model in nets.items()}
kp.plots.examples(strange["converted"], photographs)

both = np.concatenate([np.zeros(len(x_test)), np.ones(len(photographs))])
found = {
    name: kp.metrics.auroc(both, np.concatenate([shown[name][0].entropy, p.entropy]), of="y")
    for name, p in strange.items()
}
sure = {name: float(np.mean(p.probabilities.max(-1) > 0.9)) for name, p in strange.items()}
assert found["converted"] > max(0.93, found["plain"] + 0.03)
assert sure["converted"] < 0.5 * sure["plain"]
{name: f"more than 90% sure of {sure[name]:.0%} of the patches; AUROC {found[name]:.2f}"
 for name in nets}  # fmt: skip

# %% [markdown]
# *The converted net's surest patches, and its least sure. AUROC: how often it doubts a patch more
# than a digit. It tells most from digits, and is fooled by some, the upper line. For a threshold
# with a known rate of false alarms see `kp.ood_threshold`.*
#
# ## 5. Prune it
#
# A weight whose distribution is as broad as its mean is large says nothing. Those go first.

# %%
kp.plots.pruning_curve(bayesian, x_test, y_test, metric="accuracy")

pruned, report = kp.prune(bayesian, fraction=0.7)


def kilobytes(model):
    return len(zlib.compress(b"".join(w.tobytes() for w in model.get_weights()))) / 1e3


left = sum(row["left"] for row in report) / sum(row["size"] for row in report)
assert abs(left - 0.3) < 0.001
whole = kp.to_deterministic(bayesian)
assert accuracy(pruned) > accuracy(whole) - 0.015
assert kilobytes(pruned) < 0.5 * kilobytes(whole)
assert all(type(layer).__module__.startswith("keras.") for layer in pruned.layers)
{name: f"{kilobytes(m):.0f} kB zipped, {accuracy(m):.1%} right"
 for name, m in {"whole": whole, "pruned": pruned}.items()}  # fmt: skip

# %% [markdown]
# *Seven in ten weights are zero, at next to no loss. What `prune` returns is a plain Keras model
# again, for where one number per weight must do. How many may go is a choice: on real work look at
# this curve for rows held back, and not for those that judge you in the end.*
#
# ## 6. Serve it
#
# `export_predictive` writes a file that answers with probabilities and with both kinds of doubt. A
# new process that has never imported keras_priors, or Keras, asks it.

# %%
folder = pathlib.Path(tempfile.mkdtemp())
if keras.backend.backend() == "torch":
    file, form = folder / "served.pt2", "torch"
    load_it = """
import torch
module = torch.export.load(sys.argv[1]).module()
answers = module(torch.from_numpy(rows))
"""
else:
    file, form = folder / "served", "tf_saved_model"
    load_it = """
import tensorflow as tf
served = tf.saved_model.load(sys.argv[1])
answers = served.serve(rows)
"""
kp.export_predictive(bayesian, file, 32, form, seed=1)

program = f"""
import sys
import numpy as np
rows = np.load(sys.argv[2])
{load_it}
np.savez(sys.argv[3], **{{name: np.asarray(value) for name, value in answers.items()}})
assert "keras_priors" not in sys.modules
"""
asked, answered = folder / "rows.npy", folder / "answers.npz"
np.save(asked, np.concatenate([x_test[:20], photographs[:20]]))
subprocess.run(
    [sys.executable, "-c", program, file, asked, answered], check=True, capture_output=True
)

answers = np.load(answered)
here = kp.predict(bayesian, np.load(asked), 32, seed=1, verbose=0)
for name in ("probabilities", "entropy", "mutual_information"):
    np.testing.assert_allclose(answers[name], getattr(here, name), rtol=0, atol=1e-5)
assert np.mean(answers["entropy"][20:]) > 3 * np.mean(answers["entropy"][:20])
{name: answers[name].shape for name in sorted(answers.files)}

# %% [markdown]
# *The same numbers as here, to five digits, and the same doubt about the photographs.*
#
# ## Remember
#
# - Nothing was rewritten: the net that you have, one verb, and a second training.
# - The converted net is about as accurate, and far less sure of what is strange to it. Less sure is
#   not unsure: check it with what could come.
# - Prune by signal-to-noise, serve with the doubt, or without it: `kp.to_deterministic(bayesian)`.
