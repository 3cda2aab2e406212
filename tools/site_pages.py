"""The pages of the documentation that are made from what is elsewhere: a hook of MkDocs.

`reference/*.md` from the doors of the rooms, one page a room, with every public name; the changelog
from CHANGELOG.md; the notebooks from the rendered .ipynb, with their pictures. `pages()` needs
nothing but Python; MkDocs calls `on_config`, for their place in the navigation, and `on_files`.
"""

import ast
import base64
import importlib.util
import json
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parent.parent
TOP = "keras_priors"
# What a page weighs in the search, by the start of its path; others weigh 1.
WEIGHTS = {"reference/": 10.0, "benchmarks.md": 0.2, "changelog.md": 0.2, "notebooks/": 0.5}
# The order in which one reads the rooms, with titles where their names are none; others follow.
TITLES = {
    "models": "Whole models",
    "priors": "Priors",
    "likelihoods": "Likelihoods",
    "layers": "Layers",
    "posteriors": "Posterior families",
    "predictive": "Predictions",
    "inference": "Inference",
    "metrics": "Metrics",
    "calibration": "Calibration",
    "callbacks": "Callbacks",
    "plots": "Pictures",
    "bridges": "Into other libraries",
}


def _write_doors():
    path = ROOT / "tools" / "write_doors.py"
    spec = importlib.util.spec_from_file_location("write_doors", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def public_names():
    """By room: the public names, as one writes them, by the shortest way; and their files."""
    found = {}
    for door, names in sorted(_write_doors().doors().items(), key=lambda item: item[0].count(".")):
        for name, (module, is_public) in names.items():
            if is_public:
                found.setdefault((module, name), f"{door}.{name}")
    rooms = {}
    for (module, _), spelled in found.items():
        rooms.setdefault(module.split(".")[1], {})[spelled] = module
    order = [room for room in TITLES if room in rooms] + sorted(set(rooms) - set(TITLES))
    return {room: dict(sorted(rooms[room].items(), key=_as_in_a_book)) for room in order}


def title_of(room):
    return TITLES.get(room, room.capitalize())


def _as_in_a_book(item):
    return item[0].rpartition(".")[2].lower()


def first_line(module, name):
    """The first line of the docstring of a class or function, read from its file."""
    path = ROOT.joinpath(*module.split(".")).with_suffix(".py")
    for node in ast.parse(path.read_text("utf-8")).body:
        if getattr(node, "name", None) == name:
            return ast.get_docstring(node).split("\n\n")[0].replace("\n", " ")
    raise ValueError(f"{path} has no {name}")


def reference_page(room, names):
    """A table of all names with their first lines, then each in full."""
    door = ast.parse((ROOT / TOP / room / "__init__.py").read_text("utf-8"))
    lines = [f"# {title_of(room)}", "", ast.get_docstring(door).split("\n\n")[0], ""]
    lines += ["| | |", "|---|---|"]
    for spelled, module in names.items():
        name = spelled.rpartition(".")[2]
        said = first_line(module, name).replace("|", "\\|")
        lines.append(f"| [`{spelled.replace(TOP, 'kp', 1)}`](#{spelled}) | {said} |")
    lines.append("")
    for spelled in names:
        lines += [f"::: {spelled}", ""]
    return "\n".join(lines)


def reference_index(rooms):
    """The rooms, with their names."""
    lines = ["# Reference", "", "Every public name, after `import keras_priors as kp`.", ""]
    for room in rooms:
        lines += [f"## [{title_of(room)}]({room}.md)", ""]
        links = (
            f"[`{spelled.replace(TOP, 'kp', 1)}`]({room}.md#{spelled})" for spelled in rooms[room]
        )
        lines += [" · ".join(links), ""]
    return "\n".join(lines)


def notebook_page(path):
    """A rendered notebook as Markdown, and its pictures by file name."""
    lines, pictures = [], {}
    for number, cell in enumerate(json.loads(path.read_text("utf-8"))["cells"]):
        text = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            lines += [text, ""]
            continue
        lines += ["```python", text, "```", ""]
        for k, output in enumerate(cell.get("outputs", ())):
            data = output.get("data", {})
            if "image/png" in data:
                name = f"{path.stem}-{number}-{k}.png"
                pictures[name] = base64.b64decode("".join(data["image/png"]))
                lines += [f"![What the code above draws]({name})", ""]
            else:
                said = "".join(output.get("text", data.get("text/plain", "")))
                said = re.sub(r"\x1b\[[0-9;]*m", "", said)  # colours of a terminal
                lines += ["```text", said.rstrip("\n"), "```", ""]
    return "\n".join(lines), pictures


def pages():
    """By path under docs/: the text of a page, or the bytes of a picture."""
    rooms = public_names()
    made = {f"reference/{room}.md": reference_page(room, rooms[room]) for room in rooms}
    made["reference/index.md"] = reference_index(rooms)
    made["changelog.md"] = (ROOT / "CHANGELOG.md").read_text("utf-8")
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        text, pictures = notebook_page(path)
        made[f"notebooks/{path.stem}.md"] = text
        made |= {f"notebooks/{name}": picture for name, picture in pictures.items()}
    return made


def navigation():
    """By the title of a part: the pages made for it, each under its own title."""
    parts, made = {"Reference": ["reference/index.md"], "Notebooks": ["notebooks.md"]}, pages()
    for path, text in made.items():
        part = path.split("/")[0].capitalize()
        if part in parts and path.endswith(".md") and path not in parts[part]:
            parts[part].append({re.search(r"^# (.*)$", text, re.M)[1]: path})
    return parts


def on_config(config):
    """MkDocs asks for what mkdocs.yml leaves open: the parts with but one page there."""
    made = navigation()
    for part in config.nav:
        for title in set(part) & set(made):
            part[title] = made[title]
    return config


def on_files(files, config):
    """MkDocs asks for the files of the site."""
    from mkdocs.structure.files import File

    for path, content in pages().items():
        files.append(File.generated(config, path, content=content))
    return files


def on_page_markdown(markdown, page, config, files):
    """Its search asks how much a page weighs: who looks for a class wants its reference first."""
    del markdown, config, files
    for start, boost in WEIGHTS.items():
        if page.file.src_uri.startswith(start):
            page.meta.setdefault("search", {"boost": boost})
