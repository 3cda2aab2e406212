"""A method written as a user writes one, outside of the package and with public names alone."""

import keras
import numpy as np

import keras_priors as kp


class Metropolis(kp.inference.Method):
    """Random-walk Metropolis over the weights, one chain."""

    def __init__(self, num_samples=3000, step=0.6):
        self.num_samples, self.step = num_samples, step

    def infer(self, log_posterior, seed, verbose, resume):
        random = np.random.default_rng(keras.ops.convert_to_numpy(seed))
        now = {path: np.zeros(shape) for path, shape in log_posterior.shapes.items()}
        height, drawn = log_posterior(now), {path: [] for path in now}
        for _ in range(self.num_samples):
            new = {p: v + self.step * random.standard_normal(v.shape) for p, v in now.items()}
            there = log_posterior(new)
            if np.log(random.random()) < there - height:
                now, height = new, there
            for path, value in now.items():
                drawn[path].append(value)
        return kp.inference.SamplePosterior(
            log_posterior.model,
            log_posterior.likelihoods.structure,
            [np.stack(values)[None] for values in drawn.values()],  # one chain
            observations=log_posterior.observations,
        )


def test_it_is_a_method_as_any_other(tmp_path):
    layer = keras.layers.Dense(1, use_bias=False, kernel_regularizer=kp.NormalPrior(0, 1))
    model = keras.Sequential([keras.Input((1,)), layer])
    x, y = np.ones((3, 1), "float32"), np.array([[1.0], [2.0], [0.6]], "float32")
    posterior = Metropolis().fit(model, x, y, kp.likelihoods.Normal(1.0), seed=0, verbose=0)
    (draws,) = posterior.draws(2000, seed=0).values()
    # N(sum(y) / 4, 1 / 4), of draws that are correlated: some 500 of 3000 count.
    assert abs(draws.mean() - 0.9) < 4 * 0.5 / 500**0.5
    assert abs(draws.std() - 0.5) < 4 * 0.5 / 1000**0.5
    assert posterior.seconds > 0
    assert np.isfinite(kp.compare({"it": posterior}, x, y)["it"]["nll"])
    posterior.save(tmp_path / "it.posterior")
    loaded = kp.inference.Posterior.load(tmp_path / "it.posterior")
    np.testing.assert_array_equal(
        *(next(iter(p.draws(9, seed=1).values())) for p in (posterior, loaded))
    )
    assert repr(Metropolis()) == "Metropolis()"
