"""What mkdocs runs: pages that stand beside ``docs`` become pages of the site, and links to them are put right."""

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
BESIDE = {"CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md"}


def on_files(files: Files, config: Any, **_: Any) -> Files:
    """Add the pages that stand beside ``docs``."""
    for name, page in BESIDE.items():
        text = (ROOT / name).read_text("utf-8")
        # Their links begin at the root of the repository.
        text = re.sub(r"\]\(docs/", "](", text)
        text = re.sub(r"\]\(CHANGELOG\.md", "](changelog.md", text)
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put links to pages beside ``docs`` right."""
    for name, page in BESIDE.items():
        markdown = markdown.replace(f"](../{name}", f"]({page}")
    return markdown
