"""What is drawn of weights is what their posteriors say."""

import keras
import numpy as np
import pytest
from matplotlib import pyplot as plt
from scipy import stats

import keras_priors as kp
from tests.plots import _inputs as inputs


def moments(layer, name="kernel"):
    q = vars(layer)[f"{name}_posterior"]
    return (keras.ops.convert_to_numpy(v).astype("float64") for v in (q.mean(), q.stddev()))


def edges(band, where):
    """Lower and upper edge of a filled band at the points `where`."""
    vertices = band.get_paths()[0].vertices
    at = [vertices[np.isclose(vertices[:, 0], x)][:, 1] for x in where]
    return np.array([a.min() for a in at]), np.array([a.max() for a in at])


def test_ridges_have_the_height_of_the_density_and_the_prior_behind():
    model = inputs.variational_net()
    (ax,) = kp.plots.weights(model, "hidden/kernel")
    mean, sd = moments(model.layers[0])
    lines = {zorder: [li for li in ax.lines if li.zorder == zorder] for zorder in (1, 3)}
    assert len(lines[3]) == len(lines[1]) == 6
    for k, line in enumerate(lines[3]):
        x, y = line.get_data()
        foot, normal = 5.0 - k, stats.norm(mean.flat[k], sd.flat[k])
        np.testing.assert_allclose(y - foot, 0.85 * normal.pdf(x) / normal.pdf(x).max(), atol=1e-6)
        assert y.max() - foot == pytest.approx(0.85)
    x, y = lines[1][0].get_data()
    prior = stats.norm(0, 1).pdf(x)
    np.testing.assert_allclose(y - 5.0, 0.85 * prior / prior.max(), atol=1e-5)
    assert ax.get_yticklabels()[0].get_text() == "[0, 0]"


def test_bands_are_quantiles_in_the_order_of_the_means():
    model = inputs.variational_net(10, 8, 4)
    (ax,) = kp.plots.weights(model, "hidden/kernel")
    mean, sd = (v.reshape(-1) for v in moments(model.layers[0]))
    order = np.argsort(mean)
    place = np.linspace(0, 1, 80)
    prior, wide, narrow = ax.collections
    for band, q in ((wide, 0.95), (narrow, 0.75)):
        low, high = edges(band, place)
        np.testing.assert_allclose(high, stats.norm(mean, sd).ppf(q)[order], rtol=1e-5)
        np.testing.assert_allclose(low, stats.norm(mean, sd).ppf(1 - q)[order], rtol=1e-5)
    np.testing.assert_allclose(edges(prior, place)[1], stats.norm.ppf(0.95), rtol=1e-6)
    np.testing.assert_allclose(ax.lines[-1].get_ydata(), mean[order], rtol=1e-6)


def test_of_thousands_of_elements_four_hundred_are_drawn():
    (ax,) = kp.plots.weights(inputs.variational_net(60, 50), "hidden/kernel")
    assert len(ax.lines[-1].get_xdata()) == 400


def test_a_prior_that_differs_by_element_is_drawn_for_each():
    scale = np.geomspace(0.5, 5.0, 80).reshape(10, 8)
    layer = kp.VariationalDense(8, kernel_prior=kp.NormalPrior(0, scale), name="dense")
    model = keras.Sequential([keras.Input((10,)), layer])
    (ax,) = kp.plots.weights(model, "kernel")
    order = np.argsort(keras.ops.convert_to_numpy(layer.kernel_posterior.mean()).reshape(-1))
    found = edges(ax.collections[0], np.linspace(0, 1, 80))[1]
    np.testing.assert_allclose(found, 1.6448536 * scale.reshape(-1)[order], rtol=1e-5)


@pytest.mark.parametrize(
    "prior",
    [
        kp.StudentTPrior(3.0),
        kp.VarianceScalingPrior(3.0, family="laplace"),
        kp.NormalPrior(0, scale=kp.Learnable()),
    ],
)
def test_priors_of_every_kind_stand_behind(prior):
    layer = kp.VariationalDense(20, use_bias=False, kernel_prior=prior, name="dense")
    model = keras.Sequential([keras.Input((3,)), layer])
    (ax,) = kp.plots.weights(model)
    top = edges(ax.collections[0], [0.0, 1.0])[1]
    # Three inputs: the Laplace has the standard deviation 1.
    ends = {"StudentTPrior": stats.t(3).ppf(0.95), "VarianceScalingPrior": np.log(10) / np.sqrt(2)}
    known = ends.get(type(prior).__name__, 1.6448536)
    np.testing.assert_allclose(top, known, rtol=0.05)  # two of them by 20,000 draws
    kp.plots.weights(model, max_ridges=60)


def test_points_and_positive_families():
    layer = kp.VariationalDense(
        2,
        kernel_posterior="log_normal",
        kernel_prior=kp.HalfNormalPrior(1.0),
        bias_posterior="delta",
        name="dense",
    )
    model = keras.Sequential([keras.Input((1,)), layer])
    layer.kernel_posterior.assign_mean(np.array([[0.5, 2.0]], "float32"))
    layer.kernel_posterior.assign_stddev(np.array([[0.25, 0.5]], "float32"))
    kernel, bias = kp.plots.weights(model)
    x, y = next(li for li in kernel.lines if li.zorder == 3).get_data()
    spread = np.sqrt(np.log1p(0.25))
    density = stats.lognorm(spread, scale=0.5 * np.exp(-0.5 * spread**2)).pdf(x)
    np.testing.assert_allclose(y - 1.0, 0.85 * density / density.max(), atol=1e-4)
    assert not [line for line in bias.lines if line.zorder == 3]
    assert len(bias.collections) == 2  # two bars


def test_posteriors_of_draws_have_the_quantiles_of_the_draws():
    posterior = inputs.chains(outputs=20)
    (ax,) = kp.plots.weights(posterior, "line/kernel")
    draws = posterior.draws()["line/kernel"].reshape(80, 40)
    order = np.argsort(draws.astype("float64").mean(axis=0))
    low, high = edges(ax.collections[1], np.linspace(0, 1, 40))
    np.testing.assert_allclose(high, np.quantile(draws, 0.95, axis=0)[order], rtol=1e-5)
    np.testing.assert_allclose(low, np.quantile(draws, 0.05, axis=0)[order], rtol=1e-5)
    assert len(kp.plots.weights(inputs.chains())) == 2  # ridges


def test_a_point_posterior_is_drawn_as_points():
    chains = inputs.chains()
    point = kp.inference.PointPosterior(
        chains.model, chains.likelihood, [chains.mean()[path] for path in chains.paths]
    )
    for ax in kp.plots.weights(point):
        assert not [line for line in ax.lines if line.zorder == 3]
    with pytest.raises(ValueError, match="posteriors that are points"):
        kp.plots.scales(point)
    with pytest.raises(ValueError, match="posteriors that are points"):
        kp.plots.signal_to_noise(point)


def test_more_weights_than_panels_are_said():
    layers = [kp.VariationalDense(2, name=f"d{k}") for k in range(7)]
    model = keras.Sequential([keras.Input((2,)), *layers])
    with pytest.warns(UserWarning, match='14 weights .* paths="d6/bias"'):
        assert len(kp.plots.weights(model)) == 12
    assert len(kp.plots.weights(model, "*/kernel")) == 7


def test_images_of_a_dense_kernel_and_of_a_convolution():
    model = inputs.variational_net(16, 3)
    mean, sd = moments(model.layers[0])
    axes = kp.plots.kernel_images(model)
    assert axes.shape == (2, 3)
    assert [ax.get_title() for ax in axes[0]] == ["unit 0", "1", "2"]
    assert [ax.get_ylabel() for ax in axes[:, 0]] == ["mean", "standard\ndeviation"]
    own = kp.plots.kernel_images(model, ax=plt.subplots(2, 3)[1])  # perhaps classes, or filters
    assert [ax.get_title() for ax in own[0]] == ["0", "1", "2"]
    many = inputs.variational_net(16, 32)
    assert kp.plots.kernel_images(many)[0, 0].get_ylabel() == "mean\n10 of 32 units"
    assert kp.plots.kernel_images(many, units=[5])[0, 0].get_ylabel() == "mean"  # as was asked
    for u in range(3):
        drawn = [ax.images[0].get_array() for ax in axes[:, u]]
        np.testing.assert_allclose(drawn[0], mean[:, u].reshape(4, 4))
        np.testing.assert_allclose(drawn[1], sd[:, u].reshape(4, 4))
    assert axes[1, 0].images[0].get_clim() == pytest.approx((0.0, 1.0))  # to the prior's
    low, high = axes[0, 0].images[0].get_clim()
    assert -low == high == pytest.approx(np.quantile(np.abs(mean), 0.99))
    assert axes[0, 0].images[0].get_interpolation() == "nearest"
    wide = kp.plots.kernel_images(model, shape=(2, 8), units=[2])
    np.testing.assert_allclose(wide[0, 0].images[0].get_array(), mean[:, 2].reshape(2, 8))
    conv = keras.Sequential([keras.Input((8, 8, 2)), kp.VariationalConv2D(4, 3, name="conv")])
    kernel = keras.ops.convert_to_numpy(conv.layers[0].kernel_posterior.mean())
    axes = kp.plots.kernel_images(conv, channel=1)
    np.testing.assert_allclose(axes[0, 3].images[0].get_array(), kernel[:, :, 1, 3])
    assert axes[0, 0].get_ylabel() == "mean\nchannel 1 of 2"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"path": "out/kernel"}, "none of which is one"),
        ({"units": [3]}, "from 0 to 2"),
        ({"units": []}, "from 0 to 2"),
        ({"shape": (3, 5)}, "none of which is one"),
        ({"path": "nowhere"}, "There are: hidden/kernel"),
    ],
)
def test_images_that_there_are_not(arguments, message):
    with pytest.raises(ValueError, match=message):
        kp.plots.kernel_images(inputs.variational_net(16, 3), **arguments)
    assert plt.get_fignums() == []


def test_the_share_of_weights_above_a_ratio():
    model = inputs.variational_net(3, 4)
    ax = kp.plots.signal_to_noise(model, "hidden/kernel")
    mean, sd = moments(model.layers[0])
    ratio = np.sort((np.abs(mean) / sd).reshape(-1))
    np.testing.assert_allclose(ax.lines[0].get_xdata(), ratio, rtol=1e-5)
    np.testing.assert_allclose(ax.lines[0].get_ydata(), np.arange(12, 0, -1) / 12)
    together = kp.plots.signal_to_noise(model)
    assert [t.get_text() for t in together.get_legend().get_texts()][-1] == "all weights"
    assert len(together.lines[-2].get_xdata()) == 12 + 4 + 4 + 1


def test_more_tensors_than_names_are_counted():
    layers = [kp.VariationalDense(2, name=f"d{k}") for k in range(4)]
    ax = kp.plots.signal_to_noise(keras.Sequential([keras.Input((2,)), *layers]))
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert texts == ["each of 8 tensors", "all weights"]


def test_a_legend_of_ridges_and_bands_names_each_once():
    def names(model):
        (legend,) = kp.plots.weights(model)[0].figure.legends
        return [text.get_text() for text in legend.get_texts()]

    mixed = ["prior (bands: 90%)", "posterior (bands: 90%)", "50%", "median"]
    assert names(inputs.variational_net(10, 8, 4)) == mixed
    assert names(inputs.variational_net()) == ["prior", "posterior"]
    layer = kp.VariationalDense(20, use_bias=False)
    bands = keras.Sequential([keras.Input((3,)), layer])
    assert names(bands) == ["prior, 90%", "posterior, 90%", "50%", "median"]


def test_the_pruning_curve_is_that_of_prune():
    model = inputs.variational_net()
    model.compile(loss=kp.likelihoods.Normal(0.5))
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(20, 3)).astype("float32"), rng.normal(size=(20, 1)).astype("float32")
    at = [0.0, 0.3, 0.6, 1.0]
    ax = kp.plots.pruning_curve(model, x, y, fractions=at)
    assert ax.get_ylabel() == "negative log likelihood (nats per row)"
    (text,) = ax.get_legend().get_texts()
    assert text.get_text() == "with 0% of the weights set to zero"
    assert list(ax.lines[1].get_ydata()) == [ax.lines[0].get_ydata()[0]] * 2
    for found, fraction in zip(ax.lines[0].get_ydata(), at, strict=True):
        plain, _ = kp.prune(model, fraction=fraction)
        predictive = kp.Predictive(
            keras.ops.convert_to_numpy(plain(x))[None], kp.likelihoods.Normal(0.5)
        )
        assert found == pytest.approx(-predictive.log_prob(y).mean(), rel=1e-4)
        rmse = np.sqrt(np.mean((predictive.mean - y) ** 2))
        curve = kp.plots.pruning_curve(model, x, y, metric="rmse", fractions=[fraction])
        assert curve.lines[0].get_ydata()[0] == pytest.approx(rmse, rel=1e-4)
    with pytest.raises(ValueError, match="must be one of 'nll'"):
        kp.plots.pruning_curve(model, x, y, metric="mae")
    with pytest.raises(ValueError, match="must lie in"):
        kp.plots.pruning_curve(model, x, y, fractions=[1.5])


def test_the_pruning_curve_of_a_posterior_and_of_classes():
    posterior = inputs.chains()
    x, y = np.ones((4, 2), "float32"), np.ones((4, 1), "float32")
    ax = kp.plots.pruning_curve(posterior, x, y, fractions=[0.0, 1.0])
    whole = sum(float(v.sum()) for v in posterior.mean().values())
    nll = 0.5 * np.log(2 * np.pi * 0.25) + 0.5 * (np.array([whole, 0.0]) - 1) ** 2 / 0.25
    np.testing.assert_allclose(ax.lines[0].get_ydata(), nll, rtol=1e-4)
    model = inputs.variational_net(outputs=3)
    model.compile(loss=kp.likelihoods.Categorical())
    y = keras.ops.convert_to_numpy(model(np.eye(3))).argmax(axis=-1)
    ax = kp.plots.pruning_curve(model, np.eye(3), y, metric="accuracy", fractions=[0.0])
    assert ax.lines[0].get_ydata()[0] == 1.0
    with pytest.raises(ValueError, match="is for regressions"):
        kp.plots.pruning_curve(model, np.eye(3), y, metric="rmse")


def test_scales_are_quantiles_of_the_deviations_beside_the_prior():
    model = inputs.variational_net(10, 8, prior=kp.NormalPrior(0, 2))
    ax = kp.plots.scales(model, "*/kernel")
    _, sd = moments(model.layers[0])
    dots = [line for line in ax.lines if line.get_marker() == "o"]
    marks = [line for line in ax.lines if line.get_marker() == "|"]
    assert dots[0].get_xdata()[0] == pytest.approx(np.median(sd))
    assert [line.get_xdata()[0] for line in marks] == pytest.approx([2.0, 2.0], rel=1e-6)
    (segment,) = ax.collections[0].get_segments()
    np.testing.assert_allclose(segment[:, 0], np.quantile(sd, [0.05, 0.95]))
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert texts == ["posterior: 90% of the elements", "50%", "their median", "prior"]


def test_the_prior_is_named_where_only_a_later_weight_has_one():
    layer = keras.layers.Dense(1, bias_regularizer=kp.NormalPrior(0, 1), name="line")
    model = keras.Sequential([keras.Input((2,)), layer])
    draws = [np.random.default_rng(0).normal(size=(1, 9, *shape)) for shape in ((2, 1), (1,))]
    ax = kp.plots.scales(kp.inference.SamplePosterior(model, kp.likelihoods.Normal(1.0), draws))
    marks = [line for line in ax.lines if line.get_marker() == "|"]
    assert [line.get_label() for line in marks] == ["prior"]
    assert marks[0].get_ydata()[0] == 1


@pytest.mark.parametrize(
    "draw",
    [
        kp.plots.weights,
        kp.plots.kernel_images,
        kp.plots.signal_to_noise,
        kp.plots.scales,
        lambda source: kp.plots.pruning_curve(source, np.ones((1, 2)), np.ones((1, 1))),
    ],
)
def test_what_has_no_posterior_is_refused(draw):
    plain = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    with pytest.raises(ValueError, match="to_variational"):
        draw(plain)
    with pytest.raises(ValueError, match="is built"):
        draw(keras.Sequential([kp.VariationalDense(1)]))
    with pytest.raises(TypeError, match=r"Received: (str|dict)"):
        draw("model")
    assert plt.get_fignums() == []
