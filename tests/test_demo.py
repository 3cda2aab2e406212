"""`python -m keras_priors.demo`, at its smallest: what it prints and what it writes."""

import contextlib
import io
import math
import re

import pytest
from PIL import Image

from keras_priors.demo import __main__ as demo
from keras_priors.demo.table import COLUMNS


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Exit status, picture and printed text of one short run."""
    output = tmp_path_factory.mktemp("demo") / "picture.png"
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        status = demo.main(["--epochs", "1", "--num-samples", "2", "--output", str(output)])
    return status, output, printed.getvalue()


def test_exits_with_zero_and_says_where_the_picture_is(finished, backend):
    status, output, printed = finished
    assert status == 0
    assert f"on {backend}: 1347 training digits, 450 test digits" in printed
    assert f"Picture: {output}" in printed


def test_picture_is_an_image_with_something_on_it(finished):
    _, output, _ = finished
    with Image.open(output) as image:
        assert image.format == "PNG"
        image.load()
        assert min(image.size) > 500
        assert len(image.convert("RGB").getcolors(maxcolors=image.width * image.height)) > 100


def test_table_has_every_fit_and_column(finished):
    *_, printed = finished
    head, *rows = [line for line in printed.splitlines() if re.match("net |softmax |two ", line)]
    assert re.split(r"\s{2,}", head) == ["net", "fit", *COLUMNS]
    fits = {}
    for row in rows:
        net, method, numbers = re.fullmatch(
            r"(softmax|two layers) +(plain|MAP|variational) +(.*)", row
        ).groups()
        fits[net, method] = [float(number) for number in numbers.split()]
    assert list(fits) == [(net, method) for net in demo.NETS for method in demo.METHODS]
    for accuracy, nll, brier, ece, entropy, outside in fits.values():
        assert 0.2 < accuracy <= 1  # a guess is right one time in ten
        assert 0 < nll < math.inf
        assert 0 < brier < 2
        assert 0 <= ece <= 1
        assert 0 < entropy <= round(math.log(10), 3)
        assert 0 < outside <= round(math.log(10), 3)


def test_help_exits_with_zero(capsys):
    with pytest.raises(SystemExit) as stopped:
        demo.main(["--help"])
    assert stopped.value.code == 0
    assert "--output" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--output", "{folder}/absent/picture.png"], "in a folder that exists, received"),
        (["--output", "{folder}"], "must be a file, received the folder"),
        (["--epochs", "0"], "--epochs must be at least 1, received 0"),
        (["--num-samples", "0"], "--num-samples must be at least 1, received 0"),
    ],
)
def test_bad_options_are_refused_before_any_fit(arguments, message, tmp_path, capsys, monkeypatch):
    def fit_all(*_):
        pytest.fail("it began to fit")

    monkeypatch.setattr(demo, "fit_all", fit_all)
    with pytest.raises(SystemExit) as stopped:
        demo.main([part.format(folder=tmp_path) for part in arguments])
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err
