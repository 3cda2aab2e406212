"""One Hamiltonian transition by TFP's kernels."""

from collections.abc import Callable
from typing import Any, NamedTuple

_DIVERGENT = 1000.0
_FOREVER = 2**30


class Numeric(NamedTuple):
    """What the two array libraries call by different names."""

    exp: Callable[..., Any]
    minimum: Callable[..., Any]
    where: Callable[..., Any]
    sum_last: Callable[..., Any]
    times_transposed: Callable[..., Any]
    """(a, b) to a @ b.T"""
    uniform_integer: Callable[..., Any]
    """(seed, most) to a random integer from 1 to `most`."""


class Chains(NamedTuple):
    """What chains have to do with those on other devices."""

    seed_of_chains: Callable[..., Any]
    """A seed of all to one whose draws are those of the chains that are here."""
    acceptance_of_all: Callable[..., Any]
    """(log acceptance of those here, adapt) to that of all, where `adapt` is true."""


def transition(
    tfp: Any,
    numeric: Numeric,
    chains: Chains,
    target: Any,
    steps: int,
    target_accept: float,
    nuts: bool,
) -> Callable[..., Any]:
    """One transition of all chains: f(state, adapt) to (state, statistics).

    The state is a mapping of what passes from one transition to the next: `position` q (C, D),
    `log_prob` (C,), `gradient` (C, D), `seed`, `step_size`, and of the dual averaging `error_sum`,
    `log_average`, `adapted` (an integer) and `log_shrinkage`.

    Args:
        tfp: the library.
        numeric: the array library.
        chains: those on other devices.
        target: function of q (C, D) to (C,), differentiable.
        steps: integer, largest depth of a tree, or most leapfrog steps.
        target_accept: float.
        nuts: bool, NUTS or HMC.
    """

    def kernel(of: Any, adapt: Any = False) -> Any:
        def mean(log_accept: Any, **named: Any) -> Any:
            # Asked again for the scalar that it gave.
            of_all = chains.acceptance_of_all(log_accept, adapt) if log_accept.shape else log_accept
            return tfp.math.reduce_logmeanexp(of_all, **named)

        inner = (
            tfp.mcmc.NoUTurnSampler(
                of, step_size=1.0, max_tree_depth=steps, max_energy_diff=_DIVERGENT
            )
            if nuts
            else tfp.mcmc.HamiltonianMonteCarlo(
                of, step_size=1.0, num_leapfrog_steps=1, store_parameters_in_results=True
            )
        )
        return tfp.mcmc.DualAveragingStepSizeAdaptation(
            inner,
            num_adaptation_steps=_FOREVER,
            target_accept_prob=target_accept,
            reduce_fn=mean,
        )

    def of_path(results: Any) -> Any:
        return results.inner_results if nuts else results.inner_results.accepted_results

    def restore(state: dict[str, Any], adapt: Any, number: Any) -> Any:
        # Results of the right structure, from a target that costs nothing; then what was known.
        results = kernel(numeric.sum_last).bootstrap_results(state["position"])
        known = {
            "target_log_prob": state["log_prob"],
            "grads_target_log_prob": [state["gradient"]],
        }
        if not nuts:
            known["num_leapfrog_steps"] = number
        inner = of_path(results)._replace(**known)
        if not nuts:
            inner = results.inner_results._replace(accepted_results=inner)
        return results._replace(
            inner_results=inner,
            new_step_size=state["step_size"],
            error_sum=[state["error_sum"]],
            log_averaging_step=[state["log_average"]],
            log_shrinkage_target=[state["log_shrinkage"]],
            step=state["adapted"],
            num_adaptation_steps=numeric.where(adapt, _FOREVER, -1),
        )

    def statistics(results: Any, step_size: Any, number: Any) -> dict[str, Any]:
        made = results.inner_results
        ratio = made.log_accept_ratio
        finite = ratio > -_DIVERGENT  # False for NaN
        accepted = numeric.where(finite, numeric.exp(numeric.minimum(ratio, 0.0)), 0.0)
        found = {
            "lp": of_path(results).target_log_prob,
            "acceptance_rate": accepted,
            "step_size": numeric.where(finite, step_size, step_size),
        }
        if nuts:
            return found | {
                "diverging": made.has_divergence,
                "n_steps": made.leapfrogs_taken,
                "reached_max_treedepth": made.reach_max_depth,
                "energy": -made.energy,
            }
        return found | {"diverging": ~finite, "n_steps": numeric.where(finite, number, number)}

    def advance(state: dict[str, Any], adapt: Any) -> Any:
        now, picked, seed = tfp.random.split_seed(state["seed"], 3)
        number = None if nuts else numeric.uniform_integer(picked, steps)
        before = restore(state, adapt, number)
        position, results = kernel(target, adapt).one_step(
            state["position"], before, seed=chains.seed_of_chains(now)
        )
        after = {
            "position": position,
            "log_prob": of_path(results).target_log_prob,
            "gradient": of_path(results).grads_target_log_prob[0],
            "seed": seed,
            "step_size": results.new_step_size,
            # Of draws it is not learned, and not known everywhere.
            "error_sum": numeric.where(adapt, results.error_sum[0], state["error_sum"]),
            "log_average": results.log_averaging_step[0],
            "adapted": results.step,
            "log_shrinkage": results.log_shrinkage_target[0],
        }
        return after, statistics(results, state["step_size"], number)

    return advance
