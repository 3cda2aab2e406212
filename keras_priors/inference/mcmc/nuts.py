"""The No-U-Turn sampler."""

from collections.abc import Mapping
from typing import Any

from keras_priors.inference.mcmc.diagnose import check_depth
from keras_priors.inference.mcmc.hamiltonian import Hamiltonian
from keras_priors.utils.export import export
from keras_priors.utils.parameters import whole_number


@export("keras_priors.inference")
class NUTS(Hamiltonian):
    """The No-U-Turn sampler: exact draws of the posterior, for small and middling models.

    Each transition follows H(z, m) = -log p(z | x, y) + sum_d m_d^2 s_d^2 / 2 from a random
    momentum m, until the way turns back on itself, and draws a point of it. All rows are used in
    every gradient. Several chains run in one compiled program (TensorFlow Probability's kernel),
    in the coordinates without bounds of `LogPosterior`.

    Warmup is Stan's: a window for the step size, windows of 25, 50, 100, ... for the standard
    deviations s (pooled over chains), a last one for the step size; of 1000 transitions, 75, 875
    and 50. With `mass="dense"` it learns the whole covariance, for a few strongly correlated
    weights.

    Draws come with `sample_stats` in ArviZ' names: `diverging`, `tree_depth`,
    `reached_max_treedepth`, `acceptance_rate`, `step_size`, `lp` and `energy` (nats), `n_steps`
    (gradients). Warnings say when they are not to be trusted: divergences, trees that are cut off,
    R-hat above 1.01, an effective sample size below 100 a chain (these two by ArviZ where it is
    installed). Ctrl-C while it samples gives the draws that there are. `resume` goes on in the
    same stream of random numbers, so that `seed` has no part there, and gives all draws, the
    earlier ones first.

    Args:
        num_chains: integer. Defaults to 4.
        num_warmup: integer, transitions of each chain that are thrown away. Defaults to 1000.
        num_samples: integer, draws of each chain. Defaults to 1000.
        target_accept: float in (0, 1), the acceptance that the step size aims at. Defaults to 0.8.
        max_tree_depth: integer; a transition takes at most 2**max_tree_depth - 1 gradients.
            Defaults to 10.
        start: "map", around the point of highest density found by L-BFGS from the weights that
            the model has; "current", around these; or "prior", draws of it. Defaults to "map".
        mass: "diagonal" or "dense". Defaults to "diagonal".

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
        - Stan reference manual, HMC algorithm parameters (the windows of warmup).
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
        mass: str = "diagonal",
    ) -> None:
        super().__init__(num_chains, num_warmup, num_samples, target_accept, start, mass)
        self.max_tree_depth = whole_number("NUTS", "max_tree_depth", max_tree_depth)

    @property
    def _steps(self) -> int:
        return self.max_tree_depth

    def _check(self, stats: Mapping[str, Any]) -> None:
        check_depth("NUTS", stats, self.max_tree_depth)
