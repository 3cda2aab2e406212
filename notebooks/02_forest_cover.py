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
# # A Bayesian net for forest cover
#
# Which trees grow on a patch of 30 by 30 metres in the mountains of Colorado? 54 inputs, two tanh
# layers of 20, softmax over 7 classes, a standard normal prior on every weight. First the weights:
# layer by layer, a distribution for each. Then what follows from them: which class (a point
# estimate), how probable is each class (a probabilistic estimate), and how sure is the net of that.
# Last, another way to the same posterior, and whether it says the same.

# %%
import runpy
from pathlib import Path

import keras
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import fetch_covtype

import keras_priors as kp

plt.style.use("keras_priors.plots.house")
CLASSES = ("Spruce/fir", "Lodgepole pine", "Ponderosa pine", "Cottonwood/willow", "Aspen",
           "Douglas fir", "Krummholz")  # fmt: skip

# %% [markdown]
# ## The data
#
# Forest CoverType (Blackard and Dean): 10 measurements, 4 wilderness areas and 40 soil types as
# zeros and ones. scikit-learn downloads it once, 11 MB; a copy beside the project serves where
# there is no network.


# %%
def load_covertype():
    for root in (Path.cwd().parent, Path.cwd().parents[1]):
        reader = root / "shared" / "data" / "load.py"
        if reader.is_file():
            return runpy.run_path(str(reader))["load_covertype"]()
    try:
        x, y = fetch_covtype(return_X_y=True)
    except OSError as error:
        raise RuntimeError(
            "Forest CoverType could not be downloaded. Run `sklearn.datasets.fetch_covtype()` once "
            "where there is a network: it keeps the data in `sklearn.datasets.get_data_home()`."
        ) from error
    return x.astype("float32"), y.astype("int64") - 1


x, y = load_covertype()
order = np.random.default_rng(0).permutation(len(x))
train, test = order[:20_000], order[20_000:30_000]
mean, sd = x[train, :10].mean(axis=0), x[train, :10].std(axis=0)
x = np.concatenate([(x[:, :10] - mean) / sd, x[:, 10:]], axis=1)
x_train, y_train, x_test, y_test = x[train], y[train], x[test], y[test]

assert x_train.shape == (20_000, 54)
assert set(np.unique(y_train)) == set(range(7))
{name: f"{share:.1%}" for name, share in zip(CLASSES, np.bincount(y_train) / 20_000, strict=True)}

# %% [markdown]
# ## The net, as a point and as a distribution
#
# The two differ in the name of the layer. Both have a standard normal prior on every kernel and
# bias: of `Dense` it is a penalty, and `fit` finds the one most plausible value of each weight, the
# MAP. `VariationalDense` has it unless it is told otherwise, and `fit` finds a normal distribution
# for each weight.


# %%
def net(dense):
    return keras.Sequential(
        [
            keras.Input((54,)),
            dense(20, activation="tanh", name="first"),
            dense(20, activation="tanh", name="second"),
            dense(7, activation="softmax", name="output"),
        ]
    )


def fit(model, callbacks=()):
    rate = keras.optimizers.schedules.CosineDecay(0.02, decay_steps=40 * 40)
    model.compile(keras.optimizers.Adam(rate), loss="sparse_categorical_crossentropy")
    return model.fit(
        x_train, y_train, batch_size=500, epochs=40, verbose=0, callbacks=list(callbacks)
    ).history


keras.utils.set_random_seed(0)
point = net(keras.layers.Dense)
kp.set_priors(point, kp.NormalPrior(0, 1))
kp.set_num_data(point, x_train)
fit(point)

bayesian = net(kp.VariationalDense)
kp.set_num_data(bayesian, x_train)
sds_at_start = [keras.ops.convert_to_numpy(d.kernel_posterior.stddev()) for d in bayesian.layers]
# 40 epochs are not the optimum of the ELBO, as the monitor would say.
logs = fit(bayesian, [kp.callbacks.BayesianMonitor(check_convergence=False)])

for layer in bayesian.layers:
    for prior in (layer.kernel_prior, layer.bias_prior):
        assert isinstance(prior, kp.NormalPrior)
        assert (prior.loc, prior.scale) == (0.0, 1.0)

# %% [markdown]
# ## The bound that `fit` raised

# %%
kp.plots.training_curves(logs)
plt.show()

# %% [markdown]
# *The loss is the negative evidence lower bound per observation, the thick line, in two parts: the
# misfit and the KL. The KL is what the
# net pays for a posterior that is not the prior, and it falls too, for the start is far from the
# prior: there the standard deviations are 0.01 to 0.02, so that the noise of the draws does not
# hide what the means have to learn. Then they grow towards the prior's 1, each until the misfit
# that its noise adds outweighs the KL that it saves.*

# %%
assert np.allclose(np.add(logs["nll"], logs["kl"]), np.negative(logs["elbo"]))
assert np.allclose(logs["loss"], np.negative(logs["elbo"]), rtol=1e-3)
assert logs["elbo"][-1] > logs["elbo"][0] + 0.2
assert 0.05 < logs["kl"][-1] < 0.3
assert logs["kl"][-1] < 0.7 * logs["kl"][0]
assert [round(float(s.mean()), 2) for s in sds_at_start] == [0.01, 0.02, 0.02]

# %% [markdown]
# ## Weight distributions, layer by layer

# %%
posteriors = [layer.kernel_posterior for layer in bayesian.layers]
means = [keras.ops.convert_to_numpy(q.mean()) for q in posteriors]
sds = [keras.ops.convert_to_numpy(q.stddev()) for q in posteriors]
assert [m.shape for m in means] == [(54, 20), (20, 20), (20, 7)]
assert point.count_params() == 1667

kp.plots.weights(bayesian, "*/kernel")
plt.show()

# %% [markdown]
# *All weights of a layer, in the order of their means, each with its 50% and 90%; hatched: 90% of
# the prior. Narrow bands are weights that the data have decided. Only the first layer has many that
# are still nearly as wide as the prior, as their standard deviations say:*

# %%
kp.plots.scales(bayesian)
plt.show()

# %% [markdown]
# *Dot: the median of a tensor; bars: 50% and 90% of its weights; upright mark: the prior.*

# %%
typical = [float(np.median(s)) for s in sds]
assert typical[0] > 1.5 * typical[1]
assert typical[0] > 1.5 * typical[2]
assert max(typical) < 0.8
assert all(now > np.median(s) for now, s in zip(typical, sds_at_start, strict=True))
[round(value, 2) for value in typical]

# %% [markdown]
# ## Which weights of the first layer stay in doubt?

# %%
rows_of_soil = x_train[:, 14:].sum(axis=0)
sd_of_soil = sds[0][14:].mean(axis=1)
figure, axis = plt.subplots(figsize=(8, 3.2), layout="constrained")
axis.axhline(1, color="#222222", linestyle="--", linewidth=1.2)
axis.text(5.5e3, 0.975, "prior", ha="right", va="top")
axis.scatter(np.maximum(rows_of_soil, 0.5), sd_of_soil, s=36, alpha=0.8, linewidth=0)
axis.set_xscale("log")
axis.set(xlabel="training rows with this soil type (0 at the left edge)", ylabel="posterior sd")
axis.set(xlim=(0.4, 6e3), ylim=(0, 1.08))
axis.set_xticks([0.5, 1, 10, 100, 1000], ["0", "1", "10", "100", "1000"])
axis.minorticks_off()
plt.show()

# %% [markdown]
# *One point a soil type: the standard deviation of its weights, averaged over the 20 units. Of
# soils that are hardly ever seen, the net knows what the prior said and no more.*

# %%
rare, common = rows_of_soil < 20, rows_of_soil > 500
assert rare.any()
assert common.any()
assert sd_of_soil[rare].mean() > 0.8
assert sd_of_soil[common].mean() < sd_of_soil[rare].mean() - 0.2

# %% [markdown]
# ## Class predictions: the point estimate
#
# One class for each patch, the most probable one. For that the point would do.

# %%
predictive = kp.predict(bayesian, x_test, num_samples=100, seed=0)
assert predictive.draws.shape == (100, 10_000, 7)
assert np.allclose(predictive.probabilities.sum(axis=-1), 1, atol=1e-4)

predicted = predictive.probabilities.argmax(axis=-1)
right = predicted == y_test
accuracy = {
    "always the largest class": float(np.mean(y_test == np.bincount(y_train).argmax())),
    "point": float(np.mean(kp.predict(point, x_test).probabilities.argmax(axis=-1) == y_test)),
    "Bayesian": float(np.mean(right)),
}
assert accuracy["Bayesian"] > accuracy["always the largest class"] + 0.2
assert abs(accuracy["Bayesian"] - accuracy["point"]) < 0.04
{name: round(value, 3) for name, value in accuracy.items()}

# %%
kp.plots.confusion_matrix(y_test, predictive, names=CLASSES)
plt.show()

# %% [markdown]
# *Of the patches of each true class (a line), where the predictions went, in percent. Left: the
# half of the patches whose predictions have the lower entropy. Right: the other half, where most of
# the mistakes are. The small classes lose most: cottonwood and Douglas fir are more often taken for
# ponderosa pine, and aspen for lodgepole pine, than for what they are. Spruce and lodgepole pine,
# the two large classes, are mistaken for one another, and some of the krummholz for spruce.*

# %%
share = np.zeros((7, 7))
np.add.at(share, (y_test, predicted), 1)
share /= share.sum(axis=1, keepdims=True)
assert share[0, 1] > 0.1
assert share[1, 0] > 0.1
assert share[4, 1] > max(0.4, share[4, 4])
assert share[5, 2] > max(0.4, share[5, 5])
assert share[3, 2] > max(0.4, share[3, 3])
assert share[6, 0] > 0.1
certain = predictive.entropy < np.median(predictive.entropy)
assert np.mean(right[certain]) > np.mean(right[~certain]) + 0.15

# %% [markdown]
# ## Class probabilities: the probabilistic estimate
#
# What the point cannot say is how far to trust a probability. Six test patches, from the surest
# prediction to the least sure.

# %%
by_doubt = np.argsort(predictive.entropy)
rows = by_doubt[np.linspace(0, len(by_doubt) - 1, 6).astype(int)]
figure, axes = plt.subplots(2, 3, figsize=(10, 4.6), sharex=True, sharey=True, layout="constrained")
kp.plots.class_probabilities(predictive, rows, y_test, names=CLASSES, ax=axes)
for axis, i in zip(axes.flat, rows, strict=True):
    verdict = "right" if right[i] else "wrong"
    axis.set_title(f"entropy {predictive.entropy[i]:.2f}: {verdict}")
plt.show()

# %% [markdown]
# *Bars: predicted probabilities; lines: 5% to 95% over 100 draws of the weights. Dark: the true
# class; hatched: a wrong class that was preferred. All draws agree on the first patch. Further on
# the probability spreads over more classes and the lines lengthen, as the draws disagree by more.
# What is wrong is among the last three, the least sure.*

# %%
low, high = np.quantile(predictive.draws[:, rows], [0.05, 0.95], axis=0)
longest = np.max(high - low, axis=-1)
assert longest[0] < 0.05
assert longest[3:].mean() > longest[:3].mean() + 0.1
assert right[rows[:3]].all()
assert not right[rows[3:]].all()
[round(float(length), 2) for length in longest]

# %% [markdown]
# ## Class uncertainties

# %%
tenths = np.array_split(by_doubt, 10)
accuracy_of_tenth = [float(np.mean(right[part])) for part in tenths]

bins = np.linspace(0, 1.6, 33)
figure, axes = plt.subplots(1, 3, figsize=(11, 3.8), layout="constrained")
axes[0].hist(predictive.entropy[right], bins, density=True, color="#d3dce3", label="right")
step = {"histtype": "step", "linewidth": 1.6}
axes[0].hist(predictive.entropy[~right], bins, density=True, label="wrong", **step)
axes[0].set(title="entropy of the predictions", xlabel="nats", yticks=[])
axes[0].spines["left"].set_visible(False)
axes[0].legend(loc="upper right")
kp.plots.risk_coverage(y_test, predictive, score="entropy", ax=axes[1])
axes[1].set_title("errors among the surest")
kp.plots.reliability_diagram(y_test, predictive, ax=axes[2])
axes[2].set_title("calibration")
plt.show()

# %% [markdown]
# *Left: predictions that turn out wrong had the higher entropy; the peak at log 2 = 0.69 is a
# coin tossed between two trees. Middle: the surest tenth is nearly always right, and the share of
# errors rises with every tenth less sure that is let in; dotted is the best order that there is,
# dashed all rows. Right: of predictions at each probability, how many came true, and beneath how
# many there are; dashed is perfect calibration. The net knows which of its answers to doubt.*

# %%
assert predictive.entropy[~right].mean() > predictive.entropy[right].mean() + 0.1
assert accuracy_of_tenth[0] > 0.9
assert accuracy_of_tenth[-1] < accuracy_of_tenth[0] - 0.25
[round(value, 2) for value in accuracy_of_tenth]

# %% [markdown]
# Uncertainty has two parts: what differs between patches that look alike, and doubt about the
# weights.

# %%
by_class = [y_test == c for c in range(7)]
noise = np.array([predictive.expected_entropy[rows].mean() for rows in by_class])
doubt = np.array([predictive.mutual_information[rows].mean() for rows in by_class])
count = np.bincount(y_train)
order = np.argsort(-count)
names = [f"{CLASSES[c]} ({count[c] / len(y_train):.1%})" for c in order]

figure, axis = plt.subplots(figsize=(8, 3.2), layout="constrained")
axis.barh(range(7), doubt[order], 0.7, label="doubt about the weights")
axis.barh(
    range(7), noise[order], 0.7, doubt[order], color="#d3dce3", label="patches that look alike"
)
axis.set_yticks(range(7), names)
axis.tick_params(axis="y", length=0)
axis.set(xlabel="mean entropy of the predictions (nats)", xlim=(0, 1.25))
axis.legend(loc="lower right")
plt.show()

# %% [markdown]
# *Test patches by true class, the rarest on top, with the share of each class in the data. With
# 20,000 rows for 1,667 weights little doubt about the weights is left, and more of it where
# classes are rare.*

# %%
assert np.allclose(noise + doubt, [predictive.entropy[rows].mean() for rows in by_class])
assert np.all(doubt < noise)
assert doubt[2:].mean() > 1.2 * doubt[:2].mean()
{CLASSES[c]: round(float(doubt[c]), 3) for c in order}

# %% [markdown]
# ## The same question to ADVI
#
# Layers that hold a distribution are one way. The other leaves the net as it is: `MeanField` reads
# the plain Keras net with its priors and its loss, and looks for independent normals over all of
# its weights (automatic differentiation variational inference, ADVI). The family is the same, and
# so is the bound that is raised. It begins at the point, where `VariationalDense` began anywhere.

# %%
advi = kp.inference.MeanField(num_steps=2000).fit(point, x_train, y_train, seed=0, verbose=0)
figure, axes = plt.subplots(1, 2, figsize=(10, 3), sharex=True, sharey=True, layout="constrained")
for ax, source, title in zip(axes, (bayesian, advi), ("layers", "ADVI"), strict=True):
    kp.plots.scales(source, "*/kernel", ax=ax)
    handles, labels = ax.get_legend_handles_labels()
    ax.get_legend().remove()
    ax.set_title(title)
figure.legend(handles, labels, loc="outside lower center", ncols=2)

names = ("first", "second", "output")
by_advi = [float(np.median(advi.stddev()[f"{name}/kernel"])) for name in names]
assert by_advi[0] > 2 * by_advi[1]
assert by_advi[0] > 2 * by_advi[2]
bound = {"layers": logs["elbo"][-1], "ADVI": float(np.mean(advi.elbo[-200:])) / len(x_train)}
assert bound["ADVI"] > bound["layers"]
{name: round(float(value), 3) for name, value in bound.items()}

# %% [markdown]
# *Posterior widths as above. Both leave the first layer the most open. They are not the same
# numbers, nor need they be: hidden units can change places and signs, and a normal sits on one of
# many arrangements. The bound, in nats per observation, says which of two is nearer to the
# posterior, the higher one: to begin at the point has paid.*

# %%
both = {"layers": predictive, "ADVI": advi.predict(x_test, 100, seed=0, verbose=0)}
figure, axes = plt.subplots(1, 3, figsize=(11, 3.8), layout="constrained")
for name, one in both.items():
    kp.plots.risk_coverage(y_test, one, score="entropy", label=name, ax=axes[1])
    kp.plots.reliability_diagram(y_test, one, label=name, ax=axes[2])
axes[0].hexbin(*(one.entropy for one in both.values()), gridsize=28, mincnt=1, bins="log")
axes[0].axline((0, 0), slope=1, color="#7f7f7f", linestyle="--", linewidth=1)
axes[0].set(title="entropy of each patch (nats)", xlabel="layers", ylabel="ADVI")
axes[1].set_title("errors among the surest")
axes[1].legend(loc="upper left", bbox_to_anchor=(0, 0.9))
axes[2].set_title("calibration")

said = [one.probabilities.argmax(axis=-1) for one in both.values()]
assert np.mean(said[0] == said[1]) > 0.82
assert np.corrcoef(*(one.entropy for one in both.values()))[0, 1] > 0.6
assert np.mean(said[1] == y_test) > np.mean(said[0] == y_test) - 0.01
shares = [float(np.mean(one.mutual_information) / np.mean(one.entropy)) for one in both.values()]
assert max(shares) < 0.1

# %% [markdown]
# *Left: each patch by its entropy under both. They give most patches the same class, and doubt the
# same patches. Of that doubt less than a tenth is about the weights, in either.*
