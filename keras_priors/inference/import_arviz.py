"""ArviZ, imported where it is used."""

import warnings
from typing import Any


def import_arviz() -> Any:
    """The module; an ImportError that says how to install it."""
    try:
        with warnings.catch_warnings():
            # It announces its next version at import.
            warnings.simplefilter("ignore", FutureWarning)
            import arviz
    except ImportError as error:
        raise ImportError(
            "Diagnostics are those of ArviZ. Received: no module named arviz. Install it: "
            'pip install "keras-priors[arviz]".'
        ) from error
    return arviz
