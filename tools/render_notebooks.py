"""Executes percent scripts as notebooks and writes them, with their outputs, as .ipynb files."""

import argparse
import pathlib
import time

import jupytext
import nbclient
import nbformat


def render(script: pathlib.Path, out: pathlib.Path) -> pathlib.Path:
    """Executes one script in its own folder; raises at the first cell that fails."""
    notebook = jupytext.read(script)
    notebook.metadata["kernelspec"] = {
        "name": "python3",
        "display_name": "Python 3",
        "language": "python",
    }
    # Numbered, not random, so that a rendering anew differs only where its outputs do.
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"
    client = nbclient.NotebookClient(
        notebook,
        timeout=None,
        record_timing=False,
        resources={"metadata": {"path": str(script.parent)}},
        # The log lines of the C++ libraries go to the terminal, not into the notebook.
        extra_arguments=["--IPKernelApp.capture_fd_output=False"],
    )
    client.execute()
    out.mkdir(parents=True, exist_ok=True)
    target = out / f"{script.stem}.ipynb"
    nbformat.write(notebook, target)
    return target


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scripts", nargs="*", type=pathlib.Path, help="percent scripts")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder of the .ipynb")
    arguments = parser.parse_args()
    for script in arguments.scripts:
        start = time.monotonic()
        target = render(script, arguments.out)
        print(f"{script} -> {target} ({time.monotonic() - start:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
