"""What is installed is what was meant: our names are ours alone, and documents point to files that exist."""

import importlib
import re
import tomllib
from importlib.metadata import distributions, packages_distributions, version
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGES = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
OLDEST_PYTHON = "3.11.2"
"""That of Debian 12, whose pip refuses what asks for a later one."""
PINNED = re.findall(r"^([\w.-]+)==", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)
DOCUMENTS = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]


@pytest.mark.parametrize("package", PACKAGES)
def test_no_other_distribution_provides_our_names(package: str) -> None:
    assert set(packages_distributions().get(package, ())) <= {"gridbeacon"}
    assert Path(importlib.import_module(package).__file__).is_relative_to(ROOT)


def test_these_are_all_our_packages() -> None:
    # A name space for later (no file yet) is no package.
    assert {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "bench"} == set(PACKAGES)


def test_versions_agree() -> None:
    newest = re.findall(r"^## (\d+\.\d+\.\d+)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)[0]
    assert newest == PROJECT["project"]["version"] == version("gridbeacon")


def test_every_package_that_is_pinned_can_be_had_for_the_oldest_python() -> None:
    wanted = {one.name: one.metadata.get("Requires-Python") or "" for one in distributions() if one.name in PINNED}
    assert len(wanted) > 100
    assert [name for name, spec in wanted.items() if not SpecifierSet(spec).contains(OLDEST_PYTHON)] == []


def anchor(heading: str) -> str:
    """Return the fragment that a heading is reached by, as Markdown viewers make it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def links() -> list[tuple[Path, str]]:
    found = []
    for document in DOCUMENTS:
        text = re.sub(r"^```.*?^```$", "", document.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
        found += [(document, target) for target in re.findall(r"\]\(([^)\s]+)\)", text)]
    return found


@pytest.mark.parametrize(
    ("document", "target"),
    [pytest.param(one, to, id=f"{one.name}-{to}") for one, to in links() if not re.match(r"[a-z]+:", to)],
)
def test_relative_links_point_to_files_and_headings(document: Path, target: str) -> None:
    name, _, fragment = target.partition("#")
    file = (document.parent / name).resolve() if name else document
    assert file.is_relative_to(ROOT)
    assert file.exists()
    if fragment:
        headings = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
        assert fragment in {anchor(heading) for heading in headings}


def test_every_document_can_be_reached_from_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for document in (ROOT / "docs").glob("*.md"):
        assert f"(docs/{document.name})" in readme, document.name
