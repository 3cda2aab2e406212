"""What an index shows of the package that this tree alone cannot know: the project's address.

`repository` in pyproject.toml is empty until the project has one. With it, built packages get
project URLs, and the README's links and pictures, which are relative here, lead there: an index
page can show them from nowhere else.
"""

import pathlib
import re

from hatchling.metadata.plugin.interface import MetadataHookInterface

# A target in parentheses that is no address and no place on the same page.
RELATIVE = re.compile(r"(!?)(\[[^\]]*\])\((?![a-z]+:|#)([^)\s]+)\)")
URLS = {
    "Repository": "",
    "Documentation": "/tree/main/docs",
    "Changelog": "/blob/main/CHANGELOG.md",
    "Issues": "/issues",
}


def absolute_links(text: str, repository: str) -> str:
    """The README with its links to files made links to the repository."""

    def absolute(match: re.Match) -> str:
        picture, words, path = match.groups()
        kind = "raw" if picture else "blob"
        return f"{picture}{words}({repository}/{kind}/main/{path})"

    return RELATIVE.sub(absolute, text)


class PackageMetadata(MetadataHookInterface):
    """Fills in `readme` and `urls`, which pyproject.toml declares dynamic."""

    def update(self, metadata: dict) -> None:
        repository = self.config["repository"].rstrip("/")
        readme = (pathlib.Path(self.root) / "README.md").read_text("utf-8")
        if repository:
            readme = absolute_links(readme, repository)
            metadata["urls"] = {name: repository + path for name, path in URLS.items()}
        metadata["readme"] = {"content-type": "text/markdown", "text": readme}
