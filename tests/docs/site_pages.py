"""Pages of the site that lie elsewhere: how to contribute, and the notebooks. A hook of MkDocs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

ROOT = Path(__file__).parents[2]


def pages() -> dict[str, str]:
    """Return the pages by their names on the site."""
    notebooks = {f"notebooks/{path.stem}.md": notebook(path) for path in (ROOT / "notebooks").glob("*.ipynb")}
    return {"contributing.md": contributing(), **notebooks}


def contributing() -> str:
    """Return CONTRIBUTING.md with links as they are below docs/; what the site has not is named only."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    text = re.sub(r"\]\(docs/", "](", text)
    return re.sub(r"\[([^]]+)\]\(changes/README\.md\)", r"\1 (`changes/README.md`)", text)


def notebook(path: Path) -> str:
    """Return a notebook's cells as a page: texts as they are, code in fences."""
    parts = []
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"]).strip()
        parts.append(f"```python\n{source}\n```" if cell["cell_type"] == "code" else source)
    return "\n\n".join([*parts, f"As a notebook: `notebooks/{path.name}`."]) + "\n"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages to the site."""
    from mkdocs.structure.files import File

    for name, content in pages().items():
        files.append(File.generated(config, name, content=content))
    return files
