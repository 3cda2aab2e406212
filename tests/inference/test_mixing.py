"""R-hat and ESS of weights and of predictions, against ArviZ, and what samplers say of them."""

import keras
import numpy as np
import pytest
from scipy import stats

import keras_priors as kp
from keras_priors.inference.arviz import mixing_of
from keras_priors.inference.check_mixing import check_mixing
from keras_priors.inference.prediction_chains import prediction_chains
from tests._arviz import az

X = np.random.default_rng(3).standard_normal((130, 2)).astype("float32")


def autoregressive(shape, phi, seed=0):
    noise = np.random.default_rng(seed).standard_normal(shape)
    chains = noise.copy()
    for k in range(1, shape[1]):
        chains[:, k] = phi * chains[:, k - 1] + noise[:, k]
    return chains


@pytest.mark.parametrize(
    "shape, phi",
    [
        ((4, 100, 6), 0.0),
        ((4, 101, 6), 0.8),
        ((4, 60, 6), -0.6),
        ((1, 50, 4), 0.5),
        ((2, 5, 5), 0.0),
        ((3, 4, 6), 0.3),
        ((4, 33, 6), 0.99),
    ],
)
def test_the_numbers_are_those_of_arviz(shape, phi):
    chains = autoregressive(shape, phi)
    chains[..., 0] = chains[..., 0].round()  # ties
    data = az.convert_to_dataset({"z": chains})
    found = mixing_of(chains)
    assert found["ess_bulk"] == pytest.approx(
        float(az.ess(data, method="bulk")["z"].min()), rel=1e-9
    )
    if shape[0] > 1:
        assert found["r_hat"] == pytest.approx(float(az.rhat(data)["z"].max()), rel=1e-9)
    else:
        assert "r_hat" not in found


def test_scalars_that_say_nothing_are_left_out_and_chains_that_stood_still_are_not():
    chains = autoregressive((4, 40, 3), 0.0)
    alone = mixing_of(chains[..., :1])
    chains[..., 1] = 2.0
    chains[0, 3, 2] = np.inf
    assert mixing_of(chains) == alone
    assert mixing_of(chains[..., 1:]) == {}
    assert mixing_of(chains[:, :3]) == {}
    still = np.repeat(np.arange(4.0)[:, None, None], 40, axis=1)
    assert mixing_of(still)["r_hat"] > 1e6
    # Beside one that moved too: ArviZ says NaN of it where it runs with numba.
    assert mixing_of(np.concatenate([chains[..., :1], still], axis=-1))["r_hat"] > 1e6


def net():
    """Two units whose order does not matter, and a line beside them."""
    prior = {"kernel_regularizer": kp.NormalPrior(0, 1)}
    return keras.Sequential(
        [
            keras.Input((2,)),
            keras.layers.Dense(2, activation="tanh", use_bias=False, name="hidden", **prior),
            keras.layers.Dense(1, use_bias=False, name="last", **prior),
        ]
    )


def draws_of(chains=4, number=50, width=0.05):
    """Independent draws around one function, half of the chains with the units in another order."""
    random = np.random.default_rng(0)
    first = np.array([[2.0, -0.5], [0.3, 1.5]]) + width * random.standard_normal(
        (chains, number, 2, 2)
    )
    last = np.array([[1.0], [-2.0]]) + width * random.standard_normal((chains, number, 2, 1))
    first[::2], last[::2] = first[::2, :, :, ::-1], last[::2, :, ::-1]
    return [first.astype("float32"), last.astype("float32")]


def posterior_of(values, likelihood=None, x=X):
    observations = None if x is None else kp.functional.Observations(x, x[:, :1])
    return kp.inference.SamplePosterior(
        net(), likelihood or kp.likelihoods.Normal(0.3), values, observations=observations
    )


def test_predictions_agree_where_weights_change_places():
    values = draws_of()
    posterior = posterior_of(values)
    found = posterior.diagnose()
    assert found["weights"]["r_hat"] > 1.7
    assert found["predictions"]["r_hat"] < 1.06
    assert found["predictions"]["ess_bulk"] > 60  # of 200 independent ones; the least of 100 rows
    # At the rows of `diagnose`, in NumPy, and with the numbers of ArviZ.
    rows = ((2 * np.arange(100) + 1) * 130) // 200
    hidden = np.tanh(np.einsum("ni,csij->csnj", X[rows], values[0]))
    mean = np.einsum("csnj,csjk->csnk", hidden, values[1])
    chains = prediction_chains(posterior, X, 100)
    np.testing.assert_allclose(chains["mean"], mean, rtol=1e-4, atol=1e-5)
    data = az.convert_to_dataset({"mean": mean})
    worst = float(az.rhat(data)["mean"].max())
    assert found["predictions"]["r_hat"] == pytest.approx(worst, abs=0.01)
    # As a table of ArviZ.
    table = posterior.summary(x=X[:2])
    assert list(table.index) == ["mean[0, 0]", "mean[1, 0]"]
    all_rows = np.einsum(
        "csnj,csjk->csnk", np.tanh(np.einsum("ni,csij->csnj", X[:2], values[0])), values[1]
    )
    np.testing.assert_allclose(table["mean"], all_rows.mean(axis=(0, 1))[:, 0], rtol=1e-4)
    np.testing.assert_allclose(table["sd"], all_rows.std(axis=(0, 1), ddof=1)[:, 0], rtol=1e-3)
    assert set(posterior.summary().index) > {"last/kernel[0, 0]"}


def test_rows_are_given_or_at_hand():
    posterior = posterior_of(draws_of(), x=None)
    with pytest.raises(ValueError, match=r"x=None, and a posterior without the data"):
        posterior.diagnose()
    with pytest.raises(ValueError, match="must hold arrays"):
        posterior.diagnose(iter([X]))
    assert posterior.diagnose(X[:3])["predictions"]["r_hat"] < 1.05


def test_the_scale_of_the_noise_is_a_prediction_too():
    """Chains that differ in the noise alone have the same mean function."""
    layer = keras.layers.Dense(
        1, use_bias=False, kernel_regularizer=kp.NormalPrior(0, 1), name="line"
    )
    model = keras.Sequential([keras.Input((2,)), layer, kp.layers.NoiseScale(name="noise")])
    random = np.random.default_rng(1)
    kernel = random.standard_normal((2, 50, 2, 1))
    scale = 0.1 * np.arange(1, 3)[:, None, None] + 0.001 * random.standard_normal((2, 50, 1))
    posterior = kp.inference.SamplePosterior(
        model,
        kp.likelihoods.HeteroscedasticNormal(),
        [kernel.astype("float32"), scale.astype("float32")],
    )
    chains = prediction_chains(posterior, X[:3])
    assert mixing_of(chains["mean"])["r_hat"] < 1.1
    np.testing.assert_allclose(chains["sd"][:, :, 0], scale, rtol=1e-3)
    assert posterior.diagnose(X)["predictions"]["r_hat"] > 1.7


def thrown_off(values):
    """The same, where one chain of four has left in its last four draws."""
    values = [v.copy() for v in values]
    values[1][3, -4:] += 20.0
    return values


def test_draws_that_a_chain_was_thrown_to_are_counted_and_said():
    values = draws_of()
    assert posterior_of(values).diagnose()["predictions"]["astray"] == 0
    far = posterior_of(thrown_off(values))
    found = far.diagnose()
    assert found["predictions"]["astray"] == 4
    assert found["predictions"]["r_hat"] < 1.1  # of ranks, which does not see how far
    assert "astray" not in far.diagnose(X)["predictions"]  # without targets
    with pytest.warns(UserWarning, match="4 of 200 that are more than 3 nats worse"):
        check_mixing("X", far, 1.2, 1, "Do more.")


def test_only_rows_that_count_say_so():
    """Without weight a target may be anything."""
    y, weight = X[:, :1].copy(), np.ones(len(X))
    y[::2], weight[::2] = 1e3 * np.arange(65)[:, None], 0.0
    posterior = kp.inference.SamplePosterior(
        net(),
        kp.likelihoods.Normal(0.3),
        draws_of(),
        observations=kp.functional.Observations(X, y, weight),
    )
    assert posterior.diagnose()["predictions"]["astray"] == 0


def test_a_density_is_that_of_one_number_of_a_target():
    posterior = posterior_of(draws_of())
    y = np.random.default_rng(2).standard_normal((len(X), 1)).astype("float32")
    chains = prediction_chains(posterior, X, 100, y)
    rows = ((2 * np.arange(100) + 1) * 130) // 200
    expected = stats.norm(chains["mean"][..., 0], 0.3).logpdf(y[rows, 0])
    np.testing.assert_allclose(chains["log_prob"], expected, rtol=1e-4, atol=1e-3)
    inputs, prior = keras.Input((2,)), {"kernel_regularizer": kp.NormalPrior(0, 1)}
    layer = keras.layers.Dense(2, use_bias=False, name="line", **prior)
    wide = kp.inference.SamplePosterior(
        keras.Model(inputs, layer(inputs)),
        kp.likelihoods.Normal(0.3),
        [np.zeros((1, 4, 2, 2), "float32")],
    )
    found = prediction_chains(wide, X[:3], y=np.repeat(y[:3], 2, axis=1))["log_prob"]
    np.testing.assert_allclose(found[0, 0], stats.norm(0, 0.3).logpdf(y[:3, 0]), rtol=1e-4)


def test_several_outputs_have_names():
    inputs = keras.Input((2,))
    prior = {"kernel_regularizer": kp.NormalPrior(0, 1), "use_bias": False}
    outputs = {name: keras.layers.Dense(1, name=name, **prior)(inputs) for name in ("a", "b")}
    kernels = [autoregressive((2, 6, 2, 1), 0.0, seed).astype("float32") for seed in range(2)]
    normal = kp.likelihoods.Normal(1.0)
    posterior = kp.inference.SamplePosterior(
        keras.Model(inputs, outputs), {"a": normal, "b": normal}, kernels
    )
    targets = {name: np.zeros((130, 1), "float32") for name in "ab"}
    chains = prediction_chains(posterior, X, y=targets)
    for name, kernel in zip("ab", kernels, strict=True):
        expected = np.einsum("ni,csik->csnk", X, kernel)
        np.testing.assert_allclose(chains[f"{name}/mean"], expected, rtol=1e-4, atol=1e-5)
        density = stats.norm(0, 1).logpdf(expected[..., 0])
        np.testing.assert_allclose(chains[f"{name}/log_prob"], density, rtol=1e-4)


def test_a_sampler_says_what_predictions_and_weights_have():
    values = draws_of()
    fine = posterior_of(values)
    check_mixing("X", fine, 1.06, 50, "Do more.")  # the weights differ, which is no news
    apart = [v.copy() for v in values]
    apart[1][0] += 0.5
    with pytest.warns(
        UserWarning, match=r"R-hat of what X predicts is 1\.\d+, above 1\.05"
    ) as said:
        check_mixing("X", posterior_of(apart), 1.05, 5, "Do more.")
    (text,) = (str(w.message) for w in said if issubclass(w.category, UserWarning))
    assert text.endswith("Do more.") and "(R-hat of the weights: " in text
    few = [v[:1, :30] for v in values]
    with pytest.warns(UserWarning, match=r"sample size of what X predicts is \d+ of 30 draws, bel"):
        check_mixing("X", posterior_of(few), 1.05, 100, "Do more.")
    with pytest.warns(UserWarning, match="3 draws of X a chain are too few"):
        check_mixing("X", posterior_of([v[:, :3] for v in values]), 1.05, 100, "Do more.")
