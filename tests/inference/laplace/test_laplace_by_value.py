"""Each structure of a Laplace approximation in NumPy: weighted rows, places, bounds."""

import keras
import numpy as np
import pytest
from scipy import optimize, special, stats

import keras_priors as kp
from keras_priors.inference import Laplace

# More rows than one block has: the second is filled up, with copies of a row that stands out.
COUNT = 4097
RNG = np.random.default_rng(5)
X = RNG.normal(size=(COUNT, 2)).astype("float32")
X[-1] = [40.0, -30.0]
WEIGHT = RNG.integers(0, 4, size=COUNT).astype("float32")
WEIGHT[-1] = 3.0
AUGMENTED = np.c_[X, np.ones(COUNT)].astype("float64")
W = np.array([0.02, -0.03, 0.2])
LABELS = (RNG.uniform(size=(COUNT, 1)) < special.expit(AUGMENTED @ W)[:, None]).astype("float32")


def precision_of(posterior):
    """P (D, D), from the log density at the mode and one step from it along each pair of axes."""
    paths = list(posterior.mean())
    mode = [posterior.mean()[path].astype("float64") for path in paths]
    ends = np.cumsum([0, *(v.size for v in mode)])

    def density(step):
        parts = [
            v + step[start:stop].reshape(v.shape)
            for v, start, stop in zip(mode, ends[:-1], ends[1:], strict=True)
        ]
        return posterior.log_prob(dict(zip(paths, parts, strict=True)))

    axes, top = np.eye(ends[-1]), density(np.zeros(ends[-1]))
    lengths = [2.0 * (top - density(axis)) for axis in axes]
    return np.array(
        [
            [
                lengths[i] if i == j else top - density(a + b) - 0.5 * (lengths[i] + lengths[j])
                for j, b in enumerate(axes)
            ]
            for i, a in enumerate(axes)
        ]
    )


def fit_at(model, x, y, likelihood, *args, weight=None, **kwargs):
    """At the weights that the model has, mode or not."""
    method = Laplace(*args, max_iterations=0, tolerance=1e9, **kwargs)
    return method.fit(model, x, y, likelihood, sample_weight=weight, verbose=0)


def curvature_of(structure, terms):
    """What a structure keeps of sum_i w_i h_i a_i a_i^T, of which h_i is given."""
    weighted = WEIGHT[:, None].astype("float64") * AUGMENTED
    if structure == "kronecker":
        return AUGMENTED.T @ weighted * (WEIGHT @ terms) / WEIGHT.sum(dtype="float64")
    matrix = AUGMENTED.T @ (terms[:, None] * weighted)
    return np.diag(np.diag(matrix)) if structure == "diagonal" else matrix


CASES = [(structure, "fisher") for structure in ("kronecker", "full", "diagonal", "low_rank")]


@pytest.mark.parametrize("layers", ["all", "last"])
@pytest.mark.parametrize(("structure", "curvature"), [*CASES, ("kronecker", "ggn")])
def test_rows_count_by_their_weights_and_no_row_twice(structure, curvature, layers):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    kp.set_priors(model, kp.NormalPrior(0.0, 0.1))
    model.set_weights([W[:2, None], W[2:]])
    posterior = fit_at(
        model,
        X,
        LABELS,
        kp.likelihoods.Bernoulli(),
        structure,
        curvature,
        weight=WEIGHT,
        layers=layers,
    )
    p = special.expit(AUGMENTED @ W)
    terms = p * (1.0 - p) if curvature == "ggn" else (LABELS[:, 0] - p) ** 2
    expected = curvature_of(structure, terms) + 100.0 * np.eye(3)
    np.testing.assert_allclose(precision_of(posterior), expected, rtol=2e-3, atol=0.5)


@pytest.mark.parametrize("kind", ["dense", "convolution"])
def test_the_places_of_a_layer_share_one_output_factor(kind):
    """f is the mean over T places: g = 1 / (sigma T) at each, so that G = 1 / (sigma T)^2."""
    steps, width = 5, 2 if kind == "convolution" else 1
    layer = keras.layers.Conv1D(1, 2) if kind == "convolution" else keras.layers.Dense(1)
    model = keras.Sequential(
        [keras.Input((steps, 2)), layer, keras.layers.GlobalAveragePooling1D()]
    )
    kp.set_priors(model, kp.NormalPrior(0.0, 1.0))
    x = np.random.default_rng(0).normal(size=(12, steps, 2)).astype("float32")
    weight = np.arange(12, dtype="float32") % 3
    noise, y = 0.1, np.zeros((12, 1), "float32")
    posterior = fit_at(model, x, y, kp.likelihoods.Normal(noise), weight=weight)
    places = steps - width + 1
    patches = np.concatenate([x[:, k : k + places] for k in range(width)], axis=2)
    a = np.concatenate([patches, np.ones((12, places, 1))], axis=2).astype("float64")
    inputs = np.einsum("n,nti,ntj->ij", weight, a, a)
    expected = inputs / (noise * places) ** 2 + np.eye(len(inputs))
    np.testing.assert_allclose(precision_of(posterior), expected, rtol=1e-3, atol=2e-2)


@pytest.mark.parametrize("layers", ["all", "last"])
def test_priors_that_differ_within_a_layer_count_in_the_eigenvectors(layers):
    prior, w = {"kernel": 0.5, "bias": 0.1}, 0.3 * np.random.default_rng(2).normal(size=(3, 3))
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    kp.set_priors(model, {f"*{name}": kp.NormalPrior(0.0, s) for name, s in prior.items()})
    model.set_weights([w[:2], w[2]])
    x = X[:40] @ np.array([[1.0, 0.6], [0.0, 0.5]], "float32")
    y = np.random.default_rng(3).integers(0, 3, size=40)
    posterior = fit_at(model, x, y, kp.likelihoods.Categorical(), layers=layers)
    a = np.c_[x, np.ones(40)].astype("float64")
    p = special.softmax(a @ w, axis=1)
    left, right = a.T @ a, (np.diag(p.sum(0)) - p.T @ p) / 40
    (alpha, u), (gamma, v) = np.linalg.eigh(left), np.linalg.eigh(right)
    basis = np.kron(u, v)
    diagonal = np.repeat([4.0, 4.0, 100.0], 3)
    values = np.kron(alpha, gamma) + np.diagonal(basis.T @ np.diag(diagonal) @ basis)
    expected = basis @ np.diag(values) @ basis.T
    np.testing.assert_allclose(precision_of(posterior), expected, rtol=2e-3, atol=2e-2)


@pytest.mark.parametrize("structure", ["full", "kronecker"])
def test_a_weight_between_bounds_is_normal_before_its_sigmoid(structure):
    """w = -1 + 3 s(z) under Uniform(-1, 2): the Jacobian is all of the prior in z."""
    x, noise = np.linspace(-1.0, 1.0, 6)[:, None], 1.5
    y = 1.4 * x + 0.3 * np.cos(9.0 * x)

    def log_density(z):
        w = -1.0 + 3.0 * special.expit(z)
        likelihood = stats.norm(w * x, noise).logpdf(y).sum()
        return likelihood + special.log_expit(z) + special.log_expit(-z)

    mode = optimize.minimize_scalar(lambda z: -log_density(z), bracket=(-1.0, 1.0), tol=1e-10).x
    s = special.expit(mode)
    precision = (3.0 * s * (1.0 - s)) ** 2 * np.sum(x**2) / noise**2 + 2.0 * s * (1.0 - s)
    layer = keras.layers.Dense(1, use_bias=False, name="line")
    model = keras.Sequential([keras.Input((1,)), layer])
    layer.set_weights([np.full((1, 1), 3.0 * s - 1.0)])
    kp.set_priors(model, kp.UniformPrior(-1.0, 2.0))
    method = Laplace(structure, max_iterations=0, tolerance=1e-2)
    posterior = method.fit(model, x, y, kp.likelihoods.Normal(noise), verbose=0)
    z = np.array([-1.0, 0.3, 2.0])
    slope = 3.0 * special.expit(z) * special.expit(-z)
    found = [
        posterior.log_prob({"line/kernel": [[float(-1.0 + 3.0 * special.expit(each))]]})
        for each in z
    ]
    expected = stats.norm(mode, precision**-0.5).logpdf(z) - np.log(slope)
    np.testing.assert_allclose(found, expected, atol=2e-3)
    evidence = log_density(mode) + 0.5 * np.log(2.0 * np.pi / precision)
    assert posterior.log_marginal_likelihood() == pytest.approx(evidence, abs=1e-3)


@pytest.mark.parametrize("layers", ["all", "last"])
def test_how_far_the_mode_is_is_a_mean_over_directions(layers):
    """g^T P^-1 g = d^T P d at w* + d: 4 times the square of what is said, of 4 weights."""
    x = np.random.default_rng(0).normal(size=(20, 3)).astype("float32")
    y = np.random.default_rng(1).normal(size=(20, 1)).astype("float32")
    a = np.c_[x, np.ones(20)].astype("float64")
    precision = a.T @ a / 0.25 + np.eye(4)
    mode = np.linalg.solve(precision, a.T @ y[:, 0] / 0.25)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    kp.set_priors(model, kp.NormalPrior(0.0, 1.0))
    step = np.linalg.solve(np.linalg.cholesky(precision).T, np.full(4, 0.5))  # d^T P d = 1
    method = Laplace("full", layers=layers, max_iterations=0)

    def fit(length):
        w = mode + length * step
        model.set_weights([w[:3, None], w[3:]])
        method.fit(model, x, y, kp.likelihoods.Normal(0.5), verbose=0)

    fit(1.9)  # a warning is an error here
    with pytest.warns(UserWarning, match=r"mode is about 1\.2 posterior standard deviations"):
        fit(2.4)
