"""IVON in plain `fit`: its step, its fixed point, and where the weights stand."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_priors as kp

RATE, BETA_1, BETA_2, FIRST = 0.2, 0.8, 0.9, 0.5
N, D = 24, 3


@pytest.fixture(scope="module")
def data():
    random = np.random.default_rng(0)
    x = random.normal(size=(N, D)).astype("float32")
    y = x @ random.normal(size=(D, 2)) + 0.3 * random.normal(size=(N, 2))
    return x, y.astype("float32")


def optimizer(**more):
    settings = {"hess_init": FIRST, "beta_1": BETA_1, "beta_2": BETA_2, "seed": 3}
    return kp.inference.IVONOptimizer(RATE, N, **{**settings, **more})


def net(made, prior=True, **compiled):
    keras.utils.set_random_seed(1)
    penalty = kp.NormalPrior(0.0, 1.0, num_data=N) if prior else None
    layer = keras.layers.Dense(
        2, "tanh", name="one", kernel_regularizer=penalty, bias_regularizer=penalty
    )
    model = keras.Sequential([keras.Input((D,)), layer])
    model.compile(made, loss=kp.likelihoods.Normal(1.0), **compiled)
    return model


def early_posterior(made, model):
    """Tests train for a few steps."""
    with pytest.warns(UserWarning, match="forgotten `hess_init`"):
        return made.posterior(model)


def flat(values):
    return np.concatenate([ops.convert_to_numpy(v).ravel() for v in values]).astype("float64")


def weights(model):
    return flat(model.get_weights())


class Transcription:
    """Algorithm 1 of Shen et al., line by line, in float64; the noise comes from outside."""

    def __init__(self, start, decay, count=N, scaled=1.0):
        self.m, self.g, self.t = start, np.zeros_like(start), 0
        self.h, self.delta, self.ess = np.full_like(start, FIRST), decay, count * scaled

    def step(self, theta, slope):
        """`slope` is the gradient of the mean loss at theta."""
        sigma2 = 1.0 / (self.ess * (self.h + self.delta))
        hhat = slope * (theta - self.m) / sigma2
        self.g = BETA_1 * self.g + (1 - BETA_1) * slope
        self.h = (
            BETA_2 * self.h
            + (1 - BETA_2) * hhat
            + 0.5 * (1 - BETA_2) ** 2 * (self.h - hhat) ** 2 / (self.h + self.delta)
        )
        self.t += 1
        rate = RATE * (FIRST + self.delta)
        debiased = self.g / (1 - BETA_1**self.t)
        self.m = self.m - rate * (debiased + self.delta * self.m) / (self.h + self.delta)


def slope_of(x, y, theta, prior):
    """The gradient of the mean loss of `net` at a flat vector, by hand."""
    outputs = np.tanh(x @ theta[: 2 * D].reshape(D, 2) + theta[2 * D :])
    back = (outputs - y) * (1 - outputs**2) / len(x)
    return np.concatenate([(x.T @ back).ravel(), back.sum(0)]) + prior * theta / N


@pytest.mark.parametrize(("prior", "decay", "temperature"), [(1, 0.0, 0.5), (0, 0.02, 1.0)])
def test_steps_are_those_of_the_algorithm(data, prior, decay, temperature):
    x, y = data
    made = optimizer(weight_decay=decay, temperature=temperature)
    model = net(made, prior=bool(prior))
    made.build(model.trainable_variables)
    oracle = Transcription(weights(model), decay, scaled=1 / temperature)
    made.to_noise()
    for _ in range(12):
        theta = weights(model)
        assert np.abs(theta - oracle.m).min() > 0
        oracle.step(theta, slope_of(x, y, theta, prior))
        model.train_on_batch(x, y)
        np.testing.assert_allclose(flat(made._means), oracle.m, atol=2e-5)
        np.testing.assert_allclose(flat(made._curvatures), oracle.h + decay, rtol=2e-4)
    posterior = early_posterior(made, model)
    assert posterior.temperature == temperature
    spread = posterior.stddev()
    expected = (oracle.ess * (oracle.h + decay)) ** -0.5
    np.testing.assert_allclose(flat(spread.values()), expected, rtol=1e-4)
    noise = (weights(model) - oracle.m) * np.sqrt(oracle.ess * (oracle.h + decay))
    assert abs(noise.mean()) < 4 / len(noise) ** 0.5
    assert abs(noise.std() - 1) < 4 / (2 * len(noise)) ** 0.5


def test_steps_are_those_of_the_authors(data, backend):
    """Against their package for PyTorch, `ivon-opt`, where it is there."""
    ivon = pytest.importorskip("ivon")
    torch = pytest.importorskip("torch")
    x, y = data
    made = optimizer(weight_decay=0.02)
    model = net(made, prior=False)
    made.build(model.trainable_variables)
    theta = torch.nn.Parameter(torch.tensor(weights(model)))
    settings = {"ess": N, "hess_init": FIRST, "beta1": BETA_1, "beta2": BETA_2}
    theirs = ivon.IVON([theta], lr=RATE, weight_decay=0.02, **settings)
    made.to_noise()
    for _ in range(12):
        now, mean = torch.tensor(weights(model)), theta.data.clone()
        theirs._sample_params = lambda mean=mean, now=now: (mean, now - mean)
        with theirs.sampled_params(train=True):
            theta.grad = torch.tensor(slope_of(x, y, now.numpy(), 0))
        theirs.step()
        model.train_on_batch(x, y)
        np.testing.assert_allclose(flat(made._means), theta.data.numpy(), atol=2e-5)
        found = theirs.param_groups[0]["hess"].numpy() + 0.02
        np.testing.assert_allclose(flat(made._curvatures), found, rtol=2e-4)


def test_the_fixed_point_is_the_mean_field_optimum():
    """Bayesian linear regression, 300 times side by side: means exact, 1 / sd^2 the diagonal."""
    random = np.random.default_rng(1)
    count, units, noise, spread, steps, beta_2 = 32, 300, 0.5, 1.5, 600, 0.99
    mix = np.eye(D) + 0.4 * random.normal(size=(D, D))
    x = (random.normal(size=(count, D)) @ mix).astype("float32")
    y = (x @ random.normal(size=(D, 1)) + noise * random.normal(size=(count, 1))).astype("float32")
    precision = (x.T @ x).astype("float64") / noise**2 + np.eye(D) / spread**2
    exact = np.linalg.solve(precision, x.T @ y / noise**2)
    model = keras.Sequential(
        [
            keras.Input((D,)),
            keras.layers.Dense(
                units,
                use_bias=False,
                kernel_initializer="zeros",
                kernel_regularizer=kp.NormalPrior(0.0, spread, num_data=count),
            ),
        ]
    )
    made = kp.inference.IVONOptimizer(
        keras.optimizers.schedules.CosineDecay(0.2, steps), count, beta_2=beta_2, hess_init=5.0
    )
    model.compile(made, loss=kp.likelihoods.Normal(noise))
    often = tuple(np.tile(part, (steps, 1)) for part in (x, np.repeat(y, units, axis=1)))
    model.fit(*often, batch_size=count, epochs=1, shuffle=False, verbose=0)
    posterior = made.posterior(model)
    (mean,), (sd,) = posterior.mean().values(), posterior.stddev().values()
    diagonal = np.diag(precision)[:, None]
    off = (mean - exact) * np.sqrt(diagonal)
    error = off.std(1) / units**0.5
    assert np.all(np.abs(off.mean(1)) < 4 * error + 0.01)
    # h averages hhat, whose variance at the optimum is 2 + sum_j rho_ij^2 of its square, and is
    # too large by (1 - beta_2) / 2 of that.
    rho = precision**2 / (diagonal * diagonal.T)
    bias = 0.5 * (1 - beta_2) * (1 + rho.sum(1))
    ratio = sd**-2.0 / diagonal
    error = ratio.std(1) / units**0.5
    np.testing.assert_array_less(np.abs(ratio.mean(1) - 1 - bias), 4 * error + 0.005)


class Remember(keras.callbacks.Callback):
    """Keeps the weights at the ends of epochs, as callbacks see them."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def on_epoch_end(self, epoch, logs=None):
        self.seen.append(weights(self.model))


def test_fit_ends_at_the_mean_and_the_seed_repeats_it(data):
    def run(seed):
        made, seen = optimizer(seed=seed), Remember()
        model = net(made)
        model.fit(*data, batch_size=8, epochs=3, shuffle=False, verbose=0, callbacks=[seen])
        return weights(model), seen.seen, made

    found, seen, made = run(3)
    np.testing.assert_array_equal(found, flat(made._means))
    # Without the callback of ours, the ends of epochs are at a draw.
    assert np.abs(seen[-1] - found).min() > 0
    assert not np.allclose(seen[1] - seen[0], 0, atol=1e-3)
    np.testing.assert_allclose(run(3)[0], found, rtol=1e-5, atol=1e-6)
    assert not np.allclose(run(4)[0], found, atol=1e-3)


def test_other_weights_and_more_training(data):
    """What is given to the model after `fit` is where the next one starts."""
    model = net(made := optimizer())
    model.fit(*data, batch_size=8, epochs=1, verbose=0)
    given = [np.full_like(w, 0.25) for w in model.get_weights()]
    model.set_weights(given)
    np.testing.assert_allclose(early_posterior(made, model).mean()["one/kernel"], 0.25)
    before = flat(made._curvatures)
    x, y = data
    oracle = Transcription(np.full(8, 0.25), 0.0)
    oracle.g, oracle.t, oracle.h = flat(made._momenta), 3, before
    slope = slope_of(x, y, oracle.m, 1)
    model.train_on_batch(x, y)
    # No noise, and so nothing about the curvature.
    np.testing.assert_allclose(flat(made._curvatures), before, rtol=1e-6)
    momentum = (BETA_1 * oracle.g + (1 - BETA_1) * slope) / (1 - BETA_1**4)
    np.testing.assert_allclose(
        flat(made._means), 0.25 - RATE * FIRST * momentum / before, atol=2e-5
    )


@pytest.mark.parametrize("damping", [0.1, 0.0])
def test_a_step_is_bounded_by_that_of_sgd(data, damping):
    """rate H_0 / max(H, damping H_0), where the curvature has all but gone."""
    model = net(made := optimizer(damping=damping))
    made.build(model.trainable_variables)
    for slot in made._curvatures:
        slot.assign(ops.full(slot.shape, 1e-3))
    start = weights(model)
    model.train_on_batch(*data)
    made.to_mean()
    move = -RATE * FIRST * slope_of(*data, start, 1) / max(1e-3, damping * FIRST)
    np.testing.assert_allclose(weights(model) - start, move, rtol=1e-3, atol=1e-5)


def test_a_file_from_between_batches_goes_on(data, tmp_path):
    x, y = data
    model = net(optimizer())
    for _ in range(3):
        model.train_on_batch(x, y)
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    assert loaded.optimizer.get_config() == model.optimizer.get_config()
    for one in (model, loaded):
        for _ in range(3):
            one.train_on_batch(x, y)
    np.testing.assert_allclose(weights(loaded), weights(model), rtol=1e-4, atol=1e-5)
    loaded.optimizer.to_mean()
    np.testing.assert_allclose(weights(loaded), flat(model.optimizer._means), rtol=1e-4, atol=1e-5)


def test_an_interrupted_fit_leaves_its_posterior(data):
    class Interrupt(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 1:
                raise KeyboardInterrupt

    model = net(made := optimizer())
    with pytest.raises(KeyboardInterrupt):
        model.fit(*data, batch_size=8, epochs=2, verbose=0, callbacks=[Interrupt()])
    posterior = early_posterior(made, model)
    found = np.concatenate([posterior.mean()[path].ravel() for path in posterior.paths])
    np.testing.assert_allclose(found, flat(made._means), rtol=1e-6)
    made.to_mean()
    np.testing.assert_allclose(weights(model), found, rtol=1e-6)
    made.to_mean()
    np.testing.assert_allclose(weights(model), found, rtol=1e-6)


def test_accumulated_gradients_are_those_of_the_larger_batch(data):
    x, y = data
    parts = net(optimizer(gradient_accumulation_steps=3))
    whole = net(optimizer())
    for one, size in ((parts, 8), (whole, 24)):
        one.fit(x, y, batch_size=size, epochs=4, shuffle=False, verbose=0)
    np.testing.assert_allclose(weights(parts), weights(whole), rtol=1e-3, atol=1e-4)
    found, expected = (flat(one.optimizer._curvatures) for one in (parts, whole))
    np.testing.assert_allclose(found, expected, rtol=1e-3)


def test_weights_with_bounds_are_points(data):
    x, y = data
    layer = keras.layers.Dense(
        2,
        kernel_constraint="non_neg",
        bias_regularizer=kp.HalfNormalPrior(1.0, num_data=N),
        bias_initializer=keras.initializers.Constant(0.5),
    )
    model = keras.Sequential([keras.Input((D,)), layer])
    made = optimizer()
    model.compile(made, loss=kp.likelihoods.Normal(1.0))
    plain = keras.models.clone_model(model)
    plain.set_weights(model.get_weights())
    plain.compile(keras.optimizers.SGD(RATE), loss=kp.likelihoods.Normal(1.0))
    for one in (model, plain):
        one.train_on_batch(x, y)
    np.testing.assert_allclose(weights(model), weights(plain), rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="as points"):
        made.posterior(model)


def test_half_precision_and_loss_scaling(data):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = net(optimizer())
        history = model.fit(*data, batch_size=8, epochs=6, verbose=0)
        assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
        inner = model.optimizer.inner_optimizer
        np.testing.assert_array_equal(weights(model), flat(inner._means))
        assert np.all(early_posterior(inner, model).stddev()["one/bias"] > 0)
        assert history.history["loss"][-1] < history.history["loss"][0]
    finally:
        keras.config.set_dtype_policy("float32")


def test_refusals(data):
    for name, value in {"clipnorm": 1.0, "use_ema": True, "global_clipnorm": 1.0}.items():
        with pytest.raises(ValueError, match=f"no `{name}`"):
            optimizer(**{name: value})
    with pytest.raises(ValueError, match="num_data=None"):
        kp.inference.IVONOptimizer()
    for name, value in {"hess_init": 0.0, "beta_2": 1.0, "temperature": 0.0}.items():
        with pytest.raises(ValueError, match=name):
            optimizer(**{name: value})
    with pytest.raises(ValueError, match="weight_decay"):
        optimizer(weight_decay=-1.0)
    with pytest.raises(ValueError, match="second one"):
        net(optimizer(weight_decay=0.1)).train_on_batch(*data)
    with pytest.raises(ValueError, match="num_data=24"):
        net(kp.inference.IVONOptimizer(num_data=7)).train_on_batch(*data)
    with pytest.raises(ValueError, match="knows 0 variables"):
        optimizer().posterior(net(optimizer()))
    half = keras.layers.Dense(2, dtype="bfloat16")
    half.build((None, D))
    with pytest.raises(ValueError, match="half precision"):
        optimizer().build(half.trainable_variables)
