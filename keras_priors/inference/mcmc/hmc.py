"""Hamiltonian Monte Carlo with paths of bounded length."""

from keras_priors.inference.mcmc.hamiltonian import Hamiltonian
from keras_priors.utils.export import export
from keras_priors.utils.parameters import whole_number


@export("keras_priors.inference")
class HMC(Hamiltonian):
    """Hamiltonian Monte Carlo: as `NUTS`, with paths whose length does not depend on where they go.

    Each transition takes a random number of leapfrog steps, uniform from 1 to
    `num_leapfrog_steps`, so that no path comes back to where it began each time, and accepts its
    end or stays. All chains take the same number at once: none waits for another. Warmup,
    statistics (without those of trees), warnings, devices and `resume` are those of `NUTS`; a
    transition diverges where the energy grows by more than 1000 nats.

    Args:
        num_chains: integer. Defaults to 4.
        num_warmup: integer, transitions of each chain that are thrown away. Defaults to 1000.
        num_samples: integer, draws of each chain. Defaults to 1000.
        target_accept: float in (0, 1), the acceptance that the step size aims at. Defaults to 0.8.
        num_leapfrog_steps: integer, the most gradients of a transition. Defaults to 10.
        start: "map", "current" or "prior", as for `NUTS`. Defaults to "map".
        mass: "auto", "diagonal", "dense" or "low_rank", as for `NUTS`. Defaults to "auto".

    Raises:
        TypeError: a number that is not an integer.
        ValueError: arguments out of range; in `fit`, a start that is not finite, and transitions
            that all diverge.
        NotImplementedError: in `fit`, on PyTorch.

    Example:
        >>> import keras_priors as kp
        >>> kp.inference.HMC(num_chains=2)
        HMC(num_chains=2, num_warmup=1000, num_samples=1000, target_accept=0.8, \
num_leapfrog_steps=10, start='map', mass='auto')

    References:
        - Neal, 2011, MCMC using Hamiltonian dynamics, sections 5.3 and 5.4.
    """

    _parameters = (
        "num_chains",
        "num_warmup",
        "num_samples",
        "target_accept",
        "num_leapfrog_steps",
        "start",
        "mass",
    )
    _nuts = False

    def __init__(
        self,
        num_chains: int = 4,
        num_warmup: int = 1000,
        num_samples: int = 1000,
        target_accept: float = 0.8,
        num_leapfrog_steps: int = 10,
        start: str = "map",
        mass: str = "auto",
    ) -> None:
        super().__init__(num_chains, num_warmup, num_samples, target_accept, start, mass)
        self.num_leapfrog_steps = whole_number("HMC", "num_leapfrog_steps", num_leapfrog_steps)

    @property
    def _steps(self) -> int:
        return self.num_leapfrog_steps
