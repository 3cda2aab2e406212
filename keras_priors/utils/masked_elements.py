"""Arrays with a mask, which most of NumPy's functions forget."""

from typing import Any

import numpy as np


def masked_elements(values: Any) -> str:
    """How many elements a mask hides, in words: "" where none."""
    if not (isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values)):
        return ""
    hidden = int(np.ma.getmaskarray(values).sum())
    return f"a masked array with {hidden} masked elements of {values.size}"
