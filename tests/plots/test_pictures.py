"""Every picture is drawn, leaves matplotlib as it was, and looks as it did.

The stored pictures were made by the version of matplotlib in `baseline/MATPLOTLIB` on JAX;
`KERAS_BACKEND=jax python -m tests.plots.test_pictures` makes them anew. Look at them before you
keep them.
"""

import io
import pathlib

import keras
import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.testing.compare import compare_images
from PIL import Image

import keras_priors as kp
from keras_priors.plots.canvas import one_axes
from tests.plots import _inputs as inputs
from tests.plots._pictures import PICTURES

BASELINE = pathlib.Path(__file__).parent / "baseline"
DPI = 45
# Root mean square of the difference of colours, of 255. The stored draws of y* are those of JAX.
TOLERANCE = 3.0
DRAWN = {"predictive_band": 10.0, "predictive_band_as_intervals": 10.0, "prior_gallery": 11.0}


def drawn(picture, path):
    """Writes the picture, in eight levels of each colour so that it is small; its Axes."""
    axes = picture()
    buffer = io.BytesIO()
    np.ravel(axes)[0].figure.savefig(buffer, dpi=DPI)
    plt.close("all")
    pixels = np.asarray(Image.open(buffer).convert("RGB"))
    Image.fromarray((pixels // 36 * 36).astype("uint8")).save(path, optimize=True)
    return axes


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.__name__)
def test_it_is_drawn_as_it_was_and_leaves_matplotlib_alone(picture, tmp_path):
    before = dict(mpl.rcParams)
    found = tmp_path / f"{picture.__name__}.png"
    axes = drawn(picture, found)
    assert dict(mpl.rcParams) == before
    assert all(isinstance(ax, Axes) for ax in np.ravel(axes))
    version = (BASELINE / "MATPLOTLIB").read_text("utf-8").strip()
    if version != mpl.__version__:
        # Another version draws another anti-aliasing; the data are held by other tests.
        pytest.skip(f"stored pictures are of matplotlib {version}, here is {mpl.__version__}")
    stored = BASELINE / found.name
    same_draws = keras.config.backend() == "jax"
    tolerance = TOLERANCE if same_draws else DRAWN.get(picture.__name__, TOLERANCE)
    assert compare_images(str(stored), str(found), tolerance) is None


def test_every_function_has_a_picture_and_no_picture_is_left_over():
    names = {picture.__name__.split("_as_")[0] for picture in PICTURES}
    assert names == set(kp.plots.__all__)
    assert {path.stem for path in BASELINE.glob("*.png")} == {p.__name__ for p in PICTURES}
    assert max(path.stat().st_size for path in BASELINE.glob("*.png")) < 15_000


def test_axes_of_ones_own_are_drawn_on_and_keep_their_frame():
    figure, ax = plt.subplots()
    assert kp.plots.training_curves(inputs.HISTORY, ax=ax) is ax
    assert plt.get_fignums() == [figure.number]
    assert ax.spines["top"].get_visible()
    assert ax.lines[0].get_color() == "#1b5a8c"
    _, pair = plt.subplots(1, 2)
    found = kp.plots.confusion_matrix(*inputs.classes(), ax=pair)
    assert list(found) == list(pair)


def test_ticks_that_are_made_later_have_the_house_style_too():
    with one_axes(None) as ax:
        pass  # nothing that would make ticks while the style holds
    ax.set_xlim(0, 30)
    ax.figure.canvas.draw()
    assert {label.get_fontsize() for label in ax.get_xticklabels()} == {9.0}
    assert not ax.spines["top"].get_visible()


def test_the_style_is_one_of_matplotlib_with_lines_that_grey_tells_apart():
    with plt.style.context("keras_priors.plots.house"):
        cycle = list(plt.rcParams["axes.prop_cycle"])
    assert len({each["linestyle"] for each in cycle}) == len(cycle) == 4
    red, green, blue = np.array([mpl.colors.to_rgb(each["color"]) for each in cycle]).T
    lightness = np.sort(0.299 * red + 0.587 * green + 0.114 * blue)
    assert np.diff(lightness).min() > 0.1


def test_a_picture_that_fails_leaves_no_figure():
    with pytest.raises(ValueError, match="one label for each of the 2 rows"):
        x, _, model = inputs.two_moons()
        kp.plots.decision_boundary(model, x[:2], [0], resolution=2, num_samples=1)
    assert plt.get_fignums() == []


def test_a_notebook_shows_the_first_figure_too(tmp_path, monkeypatch):
    # As the backend of notebooks does, this one turns interaction on as it is loaded.
    (tmp_path / "shows_itself.py").write_text(
        "import matplotlib\n"
        "from matplotlib.backends.backend_agg import FigureCanvasAgg as FigureCanvas\n"
        "matplotlib.interactive(True)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(plt, "_backend_mod", None)
    with mpl.rc_context({"backend": "module://shows_itself", "interactive": False}):
        kp.plots.training_curves({"loss": [2.0, 1.0]})
        assert mpl.is_interactive()
        plt.close()


if __name__ == "__main__":
    for each in PICTURES:
        drawn(each, BASELINE / f"{each.__name__}.png")
    (BASELINE / "MATPLOTLIB").write_text(f"{mpl.__version__}\n", "utf-8")
