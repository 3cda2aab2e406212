"""What a training step takes from the backend, against derivatives written out in numpy."""

import keras
import numpy as np
import pytest
from keras import ops
from scipy.special import expit

import keras_priors as kp
from keras_priors import backend
from tests.posteriors._calculus import as_numpy, value_and_gradient

RNG = np.random.default_rng(0)
SHAPE = (3, 4)
LOC, NOISE, SLOPE = RNG.normal(size=(3, *SHAPE)).astype("float32").astype("float64")
RHO = {
    "usual": RNG.normal(-3.0, 1.0, SHAPE).astype("float32").astype("float64"),
    "large": np.full(SHAPE, 30.0),
    "tail": np.linspace(-70.0, 0.0, 12).reshape(SHAPE),
    "below_the_tail": np.linspace(-120.0, -60.0, 12).reshape(SHAPE),
    "one_underflows": np.where(np.arange(12).reshape(SHAPE) == 5, -200.0, -3.0),
}
PRIORS = {
    "standard": (0.0, 1.0),
    "scalars": (0.5, 0.25),
    "per_unit": (np.arange(4.0, dtype="float32"), np.array([0.1, 1.0, 2.0, 5.0], "float32")),
}

# For a draw: its value times `SLOPE`, summed, and the slopes of that by loc and rho.
DRAWS = {
    "perturbation": lambda loc, rho: backend.mean_field_perturbation(rho, tensor(NOISE)),
    "transform": lambda loc, rho: backend.mean_field_transform(loc, rho, tensor(NOISE)),
    "variance": lambda loc, rho: loc * backend.mean_field_variance(rho),
}


def tensor(values):
    return ops.convert_to_tensor(values, dtype="float32")


def expected(draw, loc, rho, prior):
    """Value, slope by loc and slope by rho of 3 KL + sum(SLOPE * draw), in float64."""
    scale = np.logaddexp(0.0, rho)
    # Where the float64 softplus underflows too, its logarithm is rho.
    log_scale = np.where(rho < -30.0, rho, np.log(np.maximum(scale, 1e-300)))
    slope_of_log = np.where(rho < -30.0, 1.0, expit(rho) / np.maximum(scale, 1e-300))
    mean, spread = np.asarray(prior[0], "float64"), np.asarray(prior[1], "float64")
    squares = (scale**2 + (loc - mean) ** 2) / spread**2
    kl = np.sum(0.5 * squares - log_scale + np.log(spread) - 0.5)
    by_loc = 3 * (loc - mean) / spread**2
    by_rho = 3 * (scale * expit(rho) / spread**2 - slope_of_log)
    if draw == "variance":
        value, by_draw = loc * scale**2, 2 * loc * scale
        by_loc = by_loc + SLOPE * scale**2
    else:
        value, by_draw = scale * NOISE, NOISE
    if draw == "transform":
        value, by_loc = value + loc, by_loc + SLOPE
    return 3 * kl + np.sum(SLOPE * value), by_loc, by_rho + SLOPE * by_draw * expit(rho)


def variables_at(rho):
    return [keras.Variable(LOC, dtype="float32"), keras.Variable(rho, dtype="float32")]


@pytest.mark.parametrize("prior", PRIORS)
@pytest.mark.parametrize("rho", RHO)
@pytest.mark.parametrize("draw", DRAWS)
def test_draw_and_divergence_in_one_step(draw, rho, prior):
    loc_variable, rho_variable = variables = variables_at(RHO[rho])

    def loss():
        drawn = DRAWS[draw](ops.convert_to_tensor(loc_variable), rho_variable)
        kl = backend.mean_field_kl(loc_variable, rho_variable, *PRIORS[prior])
        return 3.0 * kl + ops.sum(tensor(SLOPE) * drawn)

    value, (by_loc, by_rho) = value_and_gradient(loss, variables)
    wanted = expected(draw, LOC, RHO[rho], PRIORS[prior])
    np.testing.assert_allclose(value, wanted[0], rtol=1e-5)
    np.testing.assert_allclose(by_loc, wanted[1], rtol=2e-5, atol=2e-5)
    np.testing.assert_allclose(by_rho, wanted[2], rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("rho", RHO)
def test_divergence_alone(rho):
    variables = variables_at(RHO[rho])
    value, (by_loc, by_rho) = value_and_gradient(
        lambda: backend.mean_field_kl(*variables, 0.5, 0.25), variables
    )
    wanted = expected("perturbation", LOC, RHO[rho], (0.5, 0.25))
    drawn = NOISE * np.logaddexp(0.0, RHO[rho])
    np.testing.assert_allclose(3 * value, wanted[0] - np.sum(SLOPE * drawn), rtol=1e-5)
    np.testing.assert_allclose(3 * by_loc, wanted[1], rtol=2e-5, atol=2e-5)
    by_kl = wanted[2] - SLOPE * NOISE * expit(RHO[rho])
    np.testing.assert_allclose(3 * by_rho, by_kl, rtol=2e-5, atol=2e-5)


def test_square():
    x = keras.Variable(LOC, dtype="float32")
    value, (slope,) = value_and_gradient(
        lambda: ops.sum(tensor(SLOPE) * backend.square(ops.convert_to_tensor(x))), [x]
    )
    np.testing.assert_allclose(value, np.sum(SLOPE * LOC**2), rtol=1e-5)
    np.testing.assert_allclose(slope, 2 * SLOPE * LOC, rtol=1e-5)


@pytest.mark.parametrize("shape", [SHAPE, (1, 4)])
def test_noise_is_added(shape):
    spread = np.abs(LOC[: shape[0]]) + 0.1
    y, variance = keras.Variable(LOC, dtype="float32"), keras.Variable(spread, dtype="float32")
    noise = NOISE[: shape[0]]

    def loss():
        values = ops.convert_to_tensor(y), ops.convert_to_tensor(variance)
        return ops.sum(tensor(SLOPE) * backend.add_noise(*values, tensor(noise)))

    value, (by_y, by_variance) = value_and_gradient(loss, [y, variance])
    total = np.sum(SLOPE * (LOC + np.sqrt(spread) * noise))
    np.testing.assert_allclose(value, total, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(by_y, SLOPE, rtol=1e-6)
    wanted = SLOPE * noise * 0.5 / np.sqrt(spread)
    wanted = wanted.sum(axis=0, keepdims=True) if shape[0] == 1 else wanted
    np.testing.assert_allclose(by_variance, wanted, rtol=1e-5, atol=1e-6)


def test_noise_without_variance_has_a_finite_gradient():
    y, variance = keras.Variable(LOC, dtype="float32"), keras.Variable(0.0 * LOC, dtype="float32")

    def loss():
        values = ops.convert_to_tensor(y), ops.convert_to_tensor(variance)
        return ops.sum(backend.add_noise(*values, tensor(NOISE)))

    value, gradients = value_and_gradient(loss, [y, variance])
    np.testing.assert_allclose(value, LOC.sum(), rtol=1e-5)
    assert all(np.isfinite(gradient).all() for gradient in gradients)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_noise_keeps_the_dtype_of_what_it_is_added_to(dtype):
    y = ops.cast(tensor(LOC), dtype)
    noisy = backend.add_noise(y, tensor(NOISE**2), tensor(SLOPE))
    assert keras.backend.standardize_dtype(noisy.dtype) == dtype
    wanted = LOC + np.abs(NOISE) * SLOPE
    np.testing.assert_allclose(ops.convert_to_numpy(ops.cast(noisy, "float32")), wanted, atol=0.04)


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="a tape of another kind")
class TestPyTorchTape:
    """The KL hangs on the draw's node there: what that must not break."""

    def step(self, draw="variance", rho="usual"):
        loc, rho = variables_at(RHO[rho])
        drawn = (tensor(SLOPE) * DRAWS[draw](loc.value, rho)).sum()
        return loc, rho, drawn, backend.mean_field_kl(loc, rho, 0.0, 1.0)

    @pytest.mark.parametrize("draw", DRAWS)
    @pytest.mark.parametrize("first", ["draw", "divergence"])
    def test_two_backward_passes(self, draw, first):
        loc, rho, drawn, kl = self.step(draw)
        for part in (drawn, 3.0 * kl) if first == "draw" else (3.0 * kl, drawn):
            part.backward()
        _, by_loc, by_rho = expected(draw, LOC, RHO["usual"], (0.0, 1.0))
        np.testing.assert_allclose(loc.value.grad.numpy(), by_loc, rtol=2e-5, atol=2e-5)
        np.testing.assert_allclose(rho.value.grad.numpy(), by_rho, rtol=2e-5, atol=2e-5)

    def test_a_variable_changed_before_the_backward_pass_is_an_error(self):
        _, rho, _, kl = self.step()
        rho.assign(rho.value + 1.0)
        with pytest.raises(RuntimeError, match="changed between the forward pass"):
            kl.backward()

    def test_a_draw_of_old_values_is_not_taken_for_a_divergence(self):
        loc, rho = variables_at(RHO["usual"])
        backend.mean_field_scale(rho)
        rho.assign(RHO["tail"])
        fresh = variables_at(RHO["tail"])
        found, wanted = (
            as_numpy(backend.mean_field_kl(*pair, 0.0, 1.0)) for pair in ((loc, rho), fresh)
        )
        np.testing.assert_allclose(found, wanted, rtol=1e-6)

    @pytest.mark.parametrize("prior", [kp.NormalPrior(), kp.LaplacePrior()])
    @pytest.mark.parametrize("posterior", ["mean_field", "log_normal"])
    def test_nothing_as_large_as_the_weights_outlives_a_step(self, posterior, prior):
        from keras_priors.backend.torch import mean_field as _mean_field_torch

        prior = kp.LogNormalPrior() if posterior == "log_normal" else prior
        layer = kp.VariationalDense(
            3, kernel_posterior=posterior, kernel_prior=prior, bias_posterior="delta", num_data=8
        )
        model = keras.Sequential([keras.Input((4,)), layer])
        model.compile(keras.optimizers.Adam(), kp.likelihoods.Normal())
        before = len(_mean_field_torch._scales)
        model.fit(np.ones((8, 4)), np.ones((8, 3)), verbose=0)
        assert len(_mean_field_torch._scales) == before

    @pytest.mark.parametrize("draw", DRAWS)
    def test_second_derivatives(self, draw):
        import torch

        loc, rho, drawn, kl = self.step(draw)
        noisy = backend.add_noise(drawn[None], (drawn**2)[None], torch.ones(1)).sum()
        values = [loc.value, rho.value]
        slopes = torch.autograd.grad(noisy + 3.0 * kl, values, create_graph=True)
        size = sum((slope**2).sum() for slope in slopes)
        found = torch.autograd.grad(size, values)

        def plain(loc, rho):
            scale = torch.nn.functional.softplus(rho)
            y = {
                "perturbation": lambda: scale * tensor(NOISE),
                "transform": lambda: loc + scale * tensor(NOISE),
                "variance": lambda: loc * scale**2,
            }[draw]()
            total = (tensor(SLOPE) * y).sum()
            noisy = total + torch.sqrt(total**2)
            return noisy + 3.0 * (0.5 * (scale**2 + loc**2) - torch.log(scale)).sum()

        copies = [value.detach().clone().requires_grad_() for value in values]
        slopes = torch.autograd.grad(plain(*copies), copies, create_graph=True)
        wanted = torch.autograd.grad(sum((slope**2).sum() for slope in slopes), copies)
        for one, other in zip(found, wanted, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)

    @pytest.mark.parametrize("draw", DRAWS)
    def test_transformations_of_functions(self, draw):
        import torch

        loc, rho = variables_at(RHO["usual"])

        def loss(factor):
            drawn = factor * DRAWS[draw](loc.value, rho)
            noisy = backend.add_noise(drawn, backend.square(drawn), tensor(NOISE))
            return noisy.sum() + factor * backend.mean_field_kl(loc, rho, 0.0, 1.0)

        factors = torch.tensor([0.5, 1.0, 2.0])
        one_by_one = torch.stack([loss(factor) for factor in factors])
        torch.testing.assert_close(torch.func.vmap(loss)(factors), one_by_one)
        slopes = torch.func.vmap(torch.func.grad(loss))(factors)
        # It is linear in the factor as long as that is positive.
        torch.testing.assert_close(slopes, one_by_one / factors, rtol=1e-4, atol=1e-4)
