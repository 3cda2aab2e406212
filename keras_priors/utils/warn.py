"""A warning that points at the user's line."""

import os
import sys
import warnings
from pathlib import Path

# With the separator: `keras_priors_of_mine.py` beside it is the user's.
_PACKAGE = str(Path(__file__).parent.parent) + os.sep


def warn(message: str) -> None:
    """Issue a `UserWarning` at the innermost line outside of this package that led here.

    Counted in frames, it would point elsewhere as soon as a function is called from one place more.
    """
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back
        level += 1
    warnings.warn(message, UserWarning, stacklevel=level)
