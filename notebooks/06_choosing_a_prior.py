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
# # Choosing a prior
#
# Nobody has an opinion about one weight of a net. But a prior on weights is an opinion about
# functions, and about functions there are opinions: how steep, how large, how many inputs matter.
# Four ways to choose: look at the prior, look at what it makes the model say before any data, say
# that few weights matter, or let the data set the scale.

# %%
import warnings

import keras
import matplotlib.pyplot as plt
import numpy as np

import keras_priors as kp

plt.style.use("keras_priors.plots.house")

# %% [markdown]
# ## 1. A gallery
#
# Four priors of about one size, which differ near zero and far out.

# %%
priors = {
    "normal": kp.NormalPrior(0, 1),
    "Laplace": kp.LaplacePrior(0, 0.7),
    "Student t, 2": kp.StudentTPrior(2, 0, 0.75),
    "horseshoe": kp.HorseshoePrior(0.4),
}
kp.plots.prior_gallery(priors, limit=4)

draws = {name: np.abs(keras.ops.convert_to_numpy(p.sample((50_000,), seed=0)))
         for name, p in priors.items()}  # fmt: skip
large = {name: float(np.mean(d > 4)) for name, d in draws.items()}
small = {name: float(np.mean(d < 0.05)) for name, d in draws.items()}
assert large["normal"] < 1e-3 < large["Laplace"] < large["Student t, 2"] < large["horseshoe"]
assert small["horseshoe"] > 2.5 * max(v for name, v in small.items() if name != "horseshoe")

# %% [markdown]
# *Left: the density. Middle: its logarithm, whose slope is the pull to zero. The normal pulls large
# weights the harder the larger they are; Laplace pulls all alike; the heavy tails of the other two
# let go of what is large. The horseshoe has a spike at zero besides: most weights are nothing, and
# those that are something are left alone. Right: how many are beyond t.*

# %% [markdown]
# ## 2. What does the prior make the model say?
#
# `kp.plots.prior_predictive` draws weights from the prior, and shows the functions. One net of 1,
# 50, 50 and 1 units, three scales.


# %%
def net(sizes, prior, likelihood=None, activation="tanh"):
    layers = [keras.layers.Dense(size, activation=activation) for size in sizes[1:-1]]
    model = keras.Sequential([keras.Input((sizes[0],)), *layers, keras.layers.Dense(sizes[-1])])
    kp.set_priors(model, prior)
    model.compile(loss=likelihood or kp.likelihoods.Normal(0.1))
    return model


x = np.linspace(-2, 2, 101, dtype="float32")[:, None]
scales = (0.1, 1.0, 5.0)
figure, axes = plt.subplots(1, 3, figsize=(10, 3.2), layout="constrained")
drawn = {}
for ax, scale in zip(axes, scales, strict=True):
    predictive = kp.prior_predictive(net((1, 50, 50, 1), kp.NormalPrior(0, scale)), x, seed=0)
    kp.plots.prior_predictive(predictive, x, num_curves=10, ax=ax)
    handles, labels = ax.get_legend_handles_labels()
    ax.get_legend().remove()
    ax.set_title(f"N(0, {scale:g}²) on all weights")
    drawn[scale] = predictive.draws[..., 0]
figure.legend(handles, labels, loc="outside lower center", ncols=3)

height = {scale: float(f.std()) for scale, f in drawn.items()}
turns = {scale: float(np.mean(np.sum(np.diff(np.sign(np.diff(f, axis=1)), axis=1) != 0, axis=1)))
         for scale, f in drawn.items()}  # fmt: skip
assert height[0.1] < 0.3 and 4 < height[1.0] < 10 and height[5.0] > 25
assert turns[0.1] < 1 < turns[1.0] < turns[5.0]

# %% [markdown]
# *Of a small scale come flat lines; of a large one noise, by the yard. The curves of N(0, 1) may
# have the right shape, and have too large numbers on their axis: a target that is standardized lies
# within ±3. None of the three is wrong. Which of them is meant can only be seen here.*

# %% [markdown]
# ## 3. A scale that goes with the width
#
# A unit adds up its inputs. With N(0, 1) on the weights the sum of n of them grows as √n, so that a
# wider net is another opinion. `VarianceScalingPrior` has the variance 1 / n, and does not care.

# %%
widths = (8, 32, 128)
kinds = {"N(0, 1)": kp.NormalPrior(0, 1), "1 / √inputs": kp.VarianceScalingPrior()}


def sd_of_output(prior, width, draws=60):
    """Of a net with two hidden layers, at one input, over draws from the prior."""
    found = []
    for seed in range(draws):
        h = np.ones((1, 8))
        for k, shape in enumerate([(8, width), (width, width), (width, 1)]):
            kernel = keras.ops.convert_to_numpy(prior.sample(shape, seed=3 * seed + k))
            h = (np.tanh(h) if k else h) @ kernel
        found.append(h.item())
    return float(np.std(found))


grows = {name: [sd_of_output(prior, w) for w in widths] for name, prior in kinds.items()}
figure, axes = plt.subplots(1, 3, figsize=(10, 3.2), layout="constrained")
for name, sds in grows.items():
    axes[0].loglog(widths, sds, marker="o", label=name)
axes[0].set(title="sd of the output", xlabel="units in a hidden layer")
axes[0].set_xticks(widths, [f"{w}" for w in widths])
axes[0].minorticks_off()
axes[0].legend()
rows = np.random.default_rng(0).normal(size=(20, 64)).astype("float32")
sure = {}
for ax, (name, prior) in zip(axes[1:], kinds.items(), strict=True):
    model = net((64, 100, 10), prior, kp.likelihoods.Categorical())
    predictive = kp.prior_predictive(model, rows, seed=0)
    kp.plots.prior_predictive(predictive, rows, ax=ax)
    ax.set(title=f"10 classes, {name}", xlabel="probability, before any data")
    p = keras.ops.convert_to_numpy(keras.ops.softmax(predictive.draws))
    sure[name] = float(np.mean(p.max(axis=-1) > 0.95))

assert grows["N(0, 1)"][-1] > 2.5 * grows["N(0, 1)"][0]
assert 0.3 < grows["1 / √inputs"][-1] / grows["1 / √inputs"][0] < 3
assert sure["N(0, 1)"] > 0.5 and sure["1 / √inputs"] < 0.05

# %% [markdown]
# *Left: the output of the first kind grows with the net, that of the second does not. Middle and
# right: what a classifier of 100 units says before it has seen a label. N(0, 1) is already certain,
# of whatever: a heap at 0, and one at 1. The other is open.*

# %% [markdown]
# ## 4. Few things matter
#
# Thirty rows, twenty inputs, and three of them with an effect. The same regression by three priors.

# %%
FEATURES = 20
rng = np.random.default_rng(1)
truth = np.zeros(FEATURES)
truth[[2, 7, 12]] = 2.0, -1.5, 3.0
x = rng.normal(size=(30, FEATURES)).astype("float32")
y = (x @ truth + rng.normal(size=30)).astype("float32")[:, None]

sparse = {
    "normal": kp.NormalPrior(0, 1),
    "Laplace": kp.LaplacePrior(0, 0.3),
    "horseshoe": kp.HorseshoePrior(0.1),
}
posteriors = {}
for name, prior in sparse.items():
    line = keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros", name="line")
    model = keras.Sequential([keras.Input((FEATURES,)), line])
    kp.set_priors(model, prior)
    method = kp.inference.MeanField(num_steps=4000, learning_rate=0.03)
    with warnings.catch_warnings():
        # No normal fits the infinite density of the horseshoe at 0: its bound creeps on for long.
        warnings.filterwarnings("ignore", "MeanField has found", UserWarning)
        posteriors[name] = method.fit(model, x, y, kp.likelihoods.Normal(1.0), seed=0, verbose=0)

figure, axes = plt.subplots(1, 3, figsize=(10, 4.6), sharex=True, layout="constrained")
for ax, (name, posterior) in zip(axes, posteriors.items(), strict=True):
    kp.plots.weights(posterior, max_ridges=FEATURES, ax=[ax])
    ax.plot(truth, np.arange(FEATURES)[::-1], "o", color="#e69f00", label="true effect", zorder=4)
    ax.set(title=name, yticks=[], xlim=(-3, 4.5))
handles, labels = axes[0].get_legend_handles_labels()
figure.legend(handles, labels, loc="outside lower center", ncols=3)

found = {name: posterior.mean()["line/kernel"][:, 0] for name, posterior in posteriors.items()}
width = {name: posterior.stddev()["line/kernel"][:, 0] for name, posterior in posteriors.items()}
nothing = truth == 0
error = {name: np.abs(w - truth) for name, w in found.items()}
of_nothing = {name: float(each[nothing].mean()) for name, each in error.items()}
assert of_nothing["horseshoe"] < 0.6 * of_nothing["Laplace"] < 0.5 * of_nothing["normal"]
of_something = {name: float(each[~nothing].mean()) for name, each in error.items()}
assert max(of_something["horseshoe"], of_something["Laplace"]) < of_something["normal"]
assert width["horseshoe"][nothing].mean() < 0.7 * width["horseshoe"][~nothing].mean()
assert abs(width["normal"][nothing].mean() / width["normal"][~nothing].mean() - 1) < 0.2

# %% [markdown]
# *Dots: the truth. Dashed: the prior. Under the normal prior every input has a little effect, and
# the three true ones have too little. Laplace, the penalty of the lasso, is better at both. The
# horseshoe tells the two kinds apart: what is nothing is narrow around zero, what is something
# stands where the data have it.*

# %% [markdown]
# ## 5. Let the data set the scale
#
# `NormalPrior(0, scale=kp.HalfCauchyPrior(1))`: the scale has a prior of its own, and is learned
# with the weights (a hierarchical model). Two data sets of thirty inputs, one of small effects and
# one of large ones, and the same model for both.

# %%
scale_of, truths = {}, {"small effects": 0.1, "large effects": 2.0}
figure, axes = plt.subplots(1, 2, figsize=(9, 2.4), layout="constrained")
for ax, (name, true) in zip(axes, truths.items(), strict=True):
    x = rng.normal(size=(60, 30)).astype("float32")
    y = (x @ rng.normal(0, true, 30) + rng.normal(size=60)).astype("float32")[:, None]
    line = keras.layers.Dense(1, use_bias=False, name="line")
    model = keras.Sequential([keras.Input((30,)), line])
    kp.set_priors(model, kp.NormalPrior(0, scale=kp.HalfCauchyPrior(1.0)))
    method = kp.inference.MeanField(num_steps=3000, learning_rate=0.02)
    posterior = method.fit(model, x, y, kp.likelihoods.Normal(1.0), seed=0, verbose=0)
    kp.plots.weights(posterior, "*/prior_scale", ax=[ax])
    ax.axvline(true, color="#e69f00", linestyle="-")
    ax.set(title=name, xlabel="scale of the prior", yticks=[], xscale="log", xlim=(0.02, 5))
    ax.set_xticks([0.05, 0.1, 0.5, 1, 2, 5], ["0.05", "0.1", "0.5", "1", "2", "5"])
    ax.minorticks_off()
    scale_of[name] = posterior.mean()["line/kernel/prior_scale"].item()

assert all(0.6 * true < scale_of[name] < 1.6 * true for name, true in truths.items())

# %% [markdown]
# *Hill: what is known of the scale after the data. Line: the scale that the effects were drawn
# with. Nobody had to choose it. (The hills are too narrow: mean field takes the scale and the
# weights to be independent, which they are not.)*

# %% [markdown]
# ## Remember
#
# - Look at functions, not at weights: `kp.plots.prior_predictive`.
# - On kernels of wide layers let the scale go with 1 / √inputs: `kp.VarianceScalingPrior`.
# - Where few weights should matter, say so: `kp.HorseshoePrior`.
# - Where you cannot say how large weights are, give the scale a prior;
#   `kp.Learnable` has one for each tensor, input or unit.
