"""The No-U-Turn sampler."""

from keras_priors.inference.mcmc.hamiltonian import Hamiltonian
from keras_priors.utils.export import export
from keras_priors.utils.parameters import whole_number


@export("keras_priors.inference")
class NUTS(Hamiltonian):
    """The No-U-Turn sampler: exact draws of the posterior, for small and middling models.

    Each transition follows H(z, m) = -log p(z | x, y) + |F^T m|^2 / 2 from a random momentum m,
    until the way turns back on itself, and draws a point of it. All rows are used in every
    gradient. Several chains run in one compiled program (TensorFlow Probability's kernel), in the
    coordinates without bounds of `LogPosterior`.

    Warmup learns the scale F of the posterior, with z = F q + b, from draws and the gradients at
    them: it minimises the Fisher divergence E |grad_q log p + q|^2, pooled over chains. Of a normal
    posterior that is F F^T = covariance, from a few draws. Windows are 10, 15, 22, ... transitions
    long, the last of them at least a third of all, and then there is one for the step size; of 1000
    transitions 950 and 50. `mass` says what F is:

    - "diagonal": standard deviations;
    - "dense": all correlations. D^2 products in each gradient, and memory for D^2 numbers;
    - "low_rank": standard deviations, and the up to 50 directions that differ most from them. 100 D
      products;
    - "auto": "dense" up to 100 scalars, "low_rank" above.

    The last three keep to standard deviations where the second half of a window does not bear out
    what the first says of correlations.

    Draws come with `sample_stats` in ArviZ' names: `diverging`, `tree_depth`,
    `reached_max_treedepth`, `acceptance_rate`, `step_size`, `lp` and `energy` (nats), `n_steps`
    (gradients). Warnings say when they are not to be trusted: divergences, trees that are cut off,
    R-hat above 1.01, an effective sample size below 100 a chain (these two by ArviZ where it is
    installed). Ctrl-C while it samples gives the draws that there are. `resume` goes on in the
    same stream of random numbers, so that `seed` has no part there, and gives all draws, the
    earlier ones first.

    On JAX chains lie over the devices of `keras.distribution`, each with a loop of its own, and
    devices that are left share the rows where these are many; the random numbers are those of one
    device.

    Args:
        num_chains: integer. Defaults to 4.
        num_warmup: integer, transitions of each chain that are thrown away. Defaults to 1000.
        num_samples: integer, draws of each chain. Defaults to 1000.
        target_accept: float in (0, 1), the acceptance that the step size aims at. Defaults to 0.8.
        max_tree_depth: integer; a transition takes at most 2**max_tree_depth - 1 gradients.
            Defaults to 10.
        start: "map", around the point of highest density found by L-BFGS from the weights that
            the model has; "current", around these; or "prior", draws of it. Defaults to "map".
        mass: "auto", "diagonal", "dense" or "low_rank", as above. Defaults to "auto".

    Raises:
        TypeError: a number that is not an integer.
        ValueError: arguments out of range; in `fit`, a start that is not finite, and transitions
            that all diverge.
        NotImplementedError: in `fit`, on PyTorch.

    Example:
        >>> import keras, numpy as np
        >>> import keras_priors as kp
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(
        ...     1, use_bias=False, kernel_regularizer=kp.NormalPrior(0, 1), name="line")])
        >>> nuts = kp.inference.NUTS(num_warmup=200, start="current")
        >>> if keras.backend.backend() != "torch":
        ...     posterior = nuts.fit(
        ...         model, np.ones((3, 1)), np.ones((3, 1)), kp.likelihoods.Normal(1.0), seed=0,
        ...         verbose=0)
        ...     mean = posterior.mean()["line/kernel"]           # exactly 3 / (3 + 1)
        ...     assert abs(mean - 0.75) < 0.1

    References:
        - Hoffman and Gelman, 2014, The No-U-Turn sampler.
        - Betancourt, 2017, A conceptual introduction to Hamiltonian Monte Carlo, arXiv:1701.02434.
        - Seyboldt, Carlson and Carpenter, 2026, Preconditioning Hamiltonian Monte Carlo by
          minimizing Fisher divergence, arXiv:2603.18845 (the scale).
        - Vehtari et al., 2021, Rank-normalization, folding, and localization, arXiv:1903.08008.
    """

    _parameters = (
        "num_chains",
        "num_warmup",
        "num_samples",
        "target_accept",
        "max_tree_depth",
        "start",
        "mass",
    )

    def __init__(
        self,
        num_chains: int = 4,
        num_warmup: int = 1000,
        num_samples: int = 1000,
        target_accept: float = 0.8,
        max_tree_depth: int = 10,
        start: str = "map",
        mass: str = "auto",
    ) -> None:
        super().__init__(num_chains, num_warmup, num_samples, target_accept, start, mass)
        self.max_tree_depth = whole_number("NUTS", "max_tree_depth", max_tree_depth)

    @property
    def _steps(self) -> int:
        return self.max_tree_depth
