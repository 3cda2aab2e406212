"""The words in which a distribution is saved: TFP's classes and parameters, on every backend.

A description is {"distribution": class name, "parameters": {name: value}}, the values being
numbers, lists of them, or descriptions.
"""

from typing import Any

import numpy as np

# What torch calls otherwise: its class, ours, and its names of parameters that are not ours.
_TORCH: dict[str, tuple[str, dict[str, str]]] = {
    "Independent": ("Independent", {"base_distribution": "distribution"}),
    "InverseGamma": ("InverseGamma", {"rate": "scale"}),
    "LKJCholesky": ("CholeskyLKJ", {"dim": "dimension"}),
    "LowRankMultivariateNormal": (
        "MultivariateNormalDiagPlusLowRankCovariance",
        {"cov_factor": "cov_perturb_factor", "cov_diag": "cov_diag_factor"},
    ),
    "MixtureSameFamily": (
        "MixtureSameFamily",
        {"component_distribution": "components_distribution"},
    ),
    "MultivariateNormal": ("MultivariateNormalTriL", {}),
    "Pareto": ("Pareto", {"alpha": "concentration"}),
    "Wishart": ("WishartTriL", {}),
}
_LINEAR_ALGEBRA = {
    "covariance_matrix": lambda matrix: matrix,
    "precision_matrix": np.linalg.inv,
}

# Parameters that count or shape: they stay integers. All others are real numbers.
WHOLE = frozenset(
    {
        "axis",
        "batch_shape",
        "concentration_shape",
        "dimension",
        "event_ndims",
        "gauss_hermite_degree",
        "num_probit_terms_approx",
        "reinterpreted_batch_ndims",
        "sample_shape",
        "to_shape",
        "with_shape",
    }
)


def in_neutral_words(description: dict[str, Any]) -> dict[str, Any]:
    """A description in TFP's words, whichever library's it is in; also of older files."""
    name, renamed = _TORCH.get(description["distribution"], (description["distribution"], {}))
    parameters = {}
    for key, value in description["parameters"].items():
        key = renamed.get(key, key)
        if key in _LINEAR_ALGEBRA and name in ("MultivariateNormalTriL", "WishartTriL"):
            matrix = np.asarray(value, "float64")
            key, value = "scale_tril", np.linalg.cholesky(_LINEAR_ALGEBRA[key](matrix)).tolist()
        if key.startswith("force_probs_to_zero"):
            continue  # outside the support a prior does not ask the library
        parameters[key] = _in_neutral_words(key, value)
    if name == "HalfCauchy":
        parameters.setdefault("loc", 0.0)
    return {"distribution": name, "parameters": parameters}


def _in_neutral_words(key: str, value: Any) -> Any:
    if isinstance(value, dict):
        return in_neutral_words(value)
    if isinstance(value, list) and any(isinstance(part, dict) for part in value):
        return [in_neutral_words(part) for part in value]
    if key in WHOLE or isinstance(value, bool):
        return value
    array = np.asarray(value)
    return value if array.dtype.kind != "i" else array.astype("float64").tolist()
