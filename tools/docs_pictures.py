"""The picture on the first page of the documentation, by the code that stands above it there.

KERAS_BACKEND=jax python tools/docs_pictures.py
"""

import pathlib
import re

import matplotlib as mpl

DOCS = pathlib.Path(__file__).parents[1] / "docs"


def main() -> None:
    """Run the first block of docs/index.md, and keep what it draws."""
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    page = (DOCS / "index.md").read_text("utf-8")
    block = re.search(r"```python\n(.*?)```", page, re.DOTALL)
    if block is None:
        raise ValueError(
            "docs/index.md must have a block of Python that draws a picture. Received: a page "
            "without one. Name another page in tools/docs_pictures.py."
        )
    exec(block.group(1), {})  # our own page
    plt.gcf().savefig(DOCS / "examples.png", dpi=110)


if __name__ == "__main__":
    main()
