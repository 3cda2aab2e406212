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
# # Knowing what it does not know
#
# A model should be unsure where it has seen nothing, as unsure as the noise where there is noise,
# and unsure of what looks like nothing it knows. Three data sets, one for each; in the first all
# methods stand side by side.

# %%
import warnings

import keras
import matplotlib.pyplot as plt
import numpy as np
from scipy.ndimage import rotate
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import keras_priors as kp

plt.style.use("keras_priors.plots.house")
METHOD = kp.inference

# %% [markdown]
# ## 1. Where there are no data: a gap
#
# A curve, sixty points, none of them between -0.7 and 0.7. One net, one prior, known noise.

# %%
rng = np.random.default_rng(0)
x = np.concatenate([rng.uniform(-2, -0.7, 30), rng.uniform(0.7, 2, 30)])[:, None].astype("float32")
y = (np.sin(2 * x) + 0.1 * rng.standard_normal(x.shape)).astype("float32")

keras.utils.set_random_seed(0)
net = keras.Sequential(
    [
        keras.Input((1,)),
        keras.layers.Dense(16, activation="tanh", name="hidden"),
        keras.layers.Dense(1, name="output"),
    ]
)
kp.set_priors(net, {"hidden/*": kp.NormalPrior(0, 2), "output/*": kp.NormalPrior(0, 0.5)})
kp.set_num_data(net, x)
likelihood = kp.likelihoods.Normal(0.1)
point = METHOD.MAP().fit(net, x, y, likelihood, verbose=0)
net.set_weights(list(point.mean().values()))
net.compile(keras.optimizers.Adam(0.01), likelihood)

layers = kp.to_variational(net)
layers.compile(keras.optimizers.Adam(0.01), likelihood)
layers.fit(x, y, batch_size=12, epochs=100, verbose=0)

methods = {
    "Laplace": METHOD.Laplace("full"),
    "mean field": METHOD.MeanField(num_steps=4000),
    "SGHMC": METHOD.SGHMC(
        1e-3, batch_size=60, num_burnin=2000, num_samples=100, thinning=20, num_chains=2
    ),
    "SWAG": METHOD.SWAG(1e-3, batch_size=30, burnin_epochs=5, num_snapshots=30),
    "ensemble": METHOD.DeepEnsemble(
        3, epochs=50, batch_size=12, optimizer=keras.optimizers.Adam(0.02)
    ),
}
if keras.backend.backend() != "torch":  # NUTS runs on TensorFlow and JAX
    methods["NUTS"] = METHOD.NUTS(num_chains=2, num_warmup=120, num_samples=100, max_tree_depth=7)
posteriors = {"MAP": point}
with warnings.catch_warnings():
    # Chains of nets differ in their weights, and say so: here their predictions are judged.
    warnings.simplefilter("ignore", UserWarning)
    for name, method in methods.items():
        posteriors[name] = method.fit(net, x, y, likelihood, seed=0, verbose=0)
posteriors["layers"] = METHOD.VariationalLayers().fit(layers, likelihood=likelihood)

# %%
at = np.linspace(-3.5, 3.5, 141, dtype="float32")[:, None]
figure, axes = plt.subplots(2, 4, figsize=(11, 5), sharex=True, sharey=True, layout="constrained")
doubt = {}
for ax, (name, posterior) in zip(axes.flat, posteriors.items(), strict=False):
    predictive = posterior.predict(at, seed=0, verbose=0)
    kp.plots.predictive_band(predictive, at, y, x_data=x, ax=ax)
    handles, labels = ax.get_legend_handles_labels()
    ax.get_legend().remove()
    ax.set(title=name, xlabel="", ylabel="", ylim=(-2.5, 2.5))
    sd = predictive.epistemic.reshape(-1) ** 0.5
    gap, seen = np.abs(at[:, 0]) < 0.3, np.abs(np.abs(at[:, 0]) - 1.3) < 0.4
    doubt[name] = float(sd[gap].mean()), float(sd[seen].mean())
for ax in axes.flat[len(posteriors) :]:
    ax.remove()
figure.legend(handles, labels, loc="outside lower center", ncols=4)

open_up = [name for name in ("Laplace", "SGHMC", "NUTS") if name in doubt]
assert all(doubt[name][0] > 5 * doubt[name][1] for name in open_up)
assert doubt["MAP"] == (0.0, 0.0)
assert all(doubt[name][0] < 0.7 * doubt["Laplace"][0] for name in ("SWAG", "ensemble", "layers"))
{name: f"{gap:.2f} in the gap, {seen:.2f} beside it" for name, (gap, seen) in doubt.items()}

# %% [markdown]
# *The same net, the same prior, the same sixty points. Pale: noise; dark: doubt about the weights.
# The numbers are the standard deviation of that doubt. All fit the points; what they say of the gap
# differs. NUTS (on TensorFlow and JAX) is the posterior itself, and Laplace and SGHMC open up as it
# does. Families of independent weights, in layers or by `MeanField`, open less: to be unsure in
# between and sure at both sides, weights must move together. SWAG sees how far SGD wanders, and the
# ensemble three ends of training: cheap, and narrow here.*

# %% [markdown]
# ## 2. Where there is noise, and how much
#
# Simulated like a famous set of a crash test: still at first, then shaken. One net has one noise
# for all (`NoiseScale`), the other a second output for it.


# %%
def shake(n):
    t = np.sort(rng.uniform(0, 1, n))
    mean = 0.8 * np.exp(-(((t - 0.7) / 0.1) ** 2)) - 1.5 * np.exp(-(((t - 0.45) / 0.1) ** 2))
    noise = np.where(t < 0.3, 0.03, 0.35 * np.exp(-1.5 * (t - 0.3)))
    values = mean + noise * rng.standard_normal(n)
    return (4 * t - 2)[:, None].astype("float32"), values[:, None].astype("float32")


x, y = shake(133)
x_held, y_held = shake(300)
x_test, y_test = shake(400)


def shaken_net(*last):
    hidden = keras.layers.Dense(20, activation="tanh", name="hidden")
    model = keras.Sequential([keras.Input((1,)), hidden, *last])
    kp.set_priors(model, {"hidden/*": kp.NormalPrior(0, 4), "output/*": kp.NormalPrior(0, 1)})
    return model


keras.utils.set_random_seed(0)
noises = {
    "one noise": shaken_net(
        keras.layers.Dense(1, name="output"),
        kp.layers.NoiseScale(prior=kp.HalfCauchyPrior(1.0), name="noise"),
    ),
    "noise of its own": shaken_net(keras.layers.Dense(2, name="output")),
}
predictive, tests = {}, {}
with warnings.catch_warnings():
    warnings.simplefilter("ignore", UserWarning)
    for name, model in noises.items():
        posterior = METHOD.Laplace("full").fit(
            model, x, y, kp.likelihoods.HeteroscedasticNormal(), seed=0, verbose=0
        )
        predictive[name] = [posterior.predict(v, seed=0, verbose=0) for v in (x, x_held, x_test)]
recalibration = kp.calibration.QuantileRecalibration()
recalibration.fit(predictive["one noise"][1], y_held)
tests = {name: each[2] for name, each in predictive.items()}
tests["one noise, recalibrated"] = recalibration.transform(tests["one noise"])

figure, axes = plt.subplots(2, 3, figsize=(11, 5.6), layout="constrained")
inside = {}
for (top, bottom), (name, one) in zip(axes.T, tests.items(), strict=True):
    kp.plots.predictive_band(one, x_test, y, x_data=x, ax=top)
    top.get_legend().remove()
    top.set(title=name, ylim=(-3, 2.5))
    kp.plots.pit_histogram(y_test, one, ax=bottom)
    low, high = one.interval(0.9)
    hit = ((low < y_test) & (y_test < high)).reshape(-1)
    still = x_test[:, 0] < -0.8
    inside[name] = float(hit.mean()), float(hit[still].mean())

pits = {name: kp.metrics.pit_values(y_test, one) for name, one in tests.items()}
heaps = {name: float(np.mean(np.abs(v - 0.5) < 0.1)) for name, v in pits.items()}
assert heaps["one noise"] > 0.27 > max(v for name, v in heaps.items() if name != "one noise")
assert inside["one noise"][1] > 0.98
assert inside["one noise, recalibrated"][1] > 0.98
assert 0.8 < inside["noise of its own"][1] < 0.97
{
    name: f"{every:.0%} inside, {quiet:.0%} of the quiet part"
    for name, (every, quiet) in inside.items()
}

# %% [markdown]
# *Above: 90% bands. Below: whether they are right on 400 rows that no net has seen; calibrated bars
# are level. One noise for all is too wide where it is still, which heaps the bars in the middle.
# `QuantileRecalibration` learns from 300 other rows how often the bands hold, and takes the heap
# away. It mends the sum and not the place: of the quiet part the band still holds everything. A net
# that has an output for the noise knows the place too.*

# %% [markdown]
# ## 3. What looks like nothing it knows: digits that turn
#
# A net for the 8x8 digits. It is tested on digits as they are, and on the same digits turned by
# more and more degrees.

# %%
images, labels = load_digits(return_X_y=True)
x, x_rest, y, y_rest = train_test_split(images / 16, labels, test_size=900, random_state=0)
x, x_rest = x.astype("float32"), x_rest.astype("float32")
x_held, y_held, x_test, y_test = x_rest[:300], y_rest[:300], x_rest[300:], y_rest[300:]


def turned(rows, angle):
    pictures = rotate(rows.reshape(-1, 8, 8), angle, axes=(1, 2), reshape=False, order=1)
    return np.clip(pictures, 0, 1).reshape(len(rows), 64)


keras.utils.set_random_seed(0)
net = keras.Sequential(
    [
        keras.Input((64,)),
        keras.layers.Dense(32, activation="relu", name="hidden"),
        keras.layers.Dense(10, name="logits"),
    ]
)
kp.set_priors(net, kp.NormalPrior(0, 1))
kp.set_num_data(net, x)
net.compile(keras.optimizers.Adam(0.01), kp.likelihoods.Categorical())
net.fit(x, y, batch_size=64, epochs=40, verbose=0)
with warnings.catch_warnings():
    warnings.simplefilter("ignore", UserWarning)
    posteriors = {
        "point": METHOD.MAP(0).fit(net, x, y, verbose=0),
        "mean field": METHOD.MeanField(num_steps=1500).fit(net, x, y, seed=0, verbose=0),
    }

angles = np.arange(0, 91, 15)
shown = {
    name: [posterior.predict(turned(x_test, a), seed=0, verbose=0) for a in angles]
    for name, posterior in posteriors.items()
}
scaling = kp.calibration.TemperatureScaling()
scaling.fit(posteriors["point"].predict(x_held, verbose=0), y_held)
shown["point, scaled"] = [scaling.transform(one) for one in shown["point"]]

figure, axes = plt.subplots(1, 3, figsize=(11, 4), layout="constrained")
entropy, nll = {}, {}
for name, each in shown.items():
    entropy[name] = np.array([np.mean(one.entropy) for one in each])
    nll[name] = np.array([-np.mean(one.log_prob(y_test)) for one in each])
    axes[0].plot(angles, entropy[name], marker="o", label=name)
    for ax, k in zip(axes[1:], (0, 2), strict=True):
        kp.plots.reliability_diagram(y_test, each[k], label=name, ax=ax)
        ax.set_title("as they are" if k == 0 else f"turned by {angles[k]}°")
axes[0].set(title="entropy of the predictions (nats)", xlabel="degrees", xticks=angles, ylim=0)
for ax in axes[1:]:
    ax.get_legend().remove()
figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)

sure = {name: float(np.mean(each[2].probabilities.max(axis=-1))) for name, each in shown.items()}
right = {name: [float(np.mean(one.probabilities.argmax(axis=-1) == y_test)) for one in each]
         for name, each in shown.items()}  # fmt: skip
assert all(r[0] > 0.93 and r[2] < 0.6 and r[-1] < 0.2 for r in right.values())
assert abs(right["point"][0] - right["mean field"][0]) < 0.03
assert np.all(entropy["mean field"] > entropy["point"])
assert entropy["mean field"][-1] > 2 * entropy["point"][-1]
assert np.all(nll["mean field"][2:] < np.minimum(nll["point"], nll["point, scaled"])[2:])
assert nll["point, scaled"][0] < nll["point"][0] + 0.01
gap = {name: sure[name] - right[name][2] for name in shown}
assert min(gap.values()) == gap["mean field"] > 0.05
blank = x.max(axis=0) == 0
assert posteriors["mean field"].stddev()["hidden/kernel"][blank].mean() > 0.9
{
    name: f"{r[2]:.0%} right at 30°, and {sure[name]:.0%} sure on average"
    for name, r in right.items()
}

# %% [markdown]
# *Left: how unsure the net is of digits as they turn. Middle and right: whether its probabilities
# come true; below the diagonal: too sure. `TemperatureScaling`, fitted to 300 digits held back,
# is made for digits as they are; of turned ones it knows nothing. The mean-field posterior is more
# in doubt at every angle: the weights of pixels that were always blank are as open as before, and
# turned digits put ink there. At 30° all are too sure, mean field the least: of doubt about weights
# not everything follows that could be wrong.*

# %% [markdown]
# ## Remember
#
# - Doubt about the weights grows where there are no data; how much of it you see depends on the
#   method. NUTS, SGHMC and, for small nets, `Laplace("full")` see most.
# - Noise is a thing to be modelled: an output for it says where it is large.
# - Calibration by rows held back is cheap and good, for rows like those.
