"""The catalogues of the board: every text found in the sources, kept beside its translation, compiled."""

import io
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

WEB = Path(__file__).resolve().parent
LANGUAGES = ("zh",)
_METHODS = [("**.py", "python"), ("templates/**.html", "jinja2.ext:babel_extract")]
_OPTIONS = {"templates/**.html": {"newstyle_gettext": "true"}}
_KEYWORDS = {"_": None, "gettext": None, "N_": None, "t": None}


def texts() -> list[str]:
    """Return every text of the board, in the order of the sources."""
    found = extract_from_dir(str(WEB), _METHODS, _OPTIONS, keywords=_KEYWORDS)
    messages = [message if isinstance(message, str) else message[0] for _, _, message, _, _ in sorted(found)]
    return list(dict.fromkeys(messages))


def file_of(language: str) -> Path:
    """Return the catalogue of a language, as people edit it."""
    return WEB / "locale" / language / "LC_MESSAGES" / "gridbeacon.po"


def read(language: str) -> Catalog:
    """Return the catalogue of a language; an empty one when there is none."""
    file = file_of(language)
    if not file.exists():
        return Catalog(locale=language)
    with file.open("rb") as source:
        return read_po(source, locale=language)


def renewed(language: str) -> Catalog:
    """Return the catalogue with every text of the sources, translated as far as it is, and no other."""
    known = read(language)
    made = Catalog(locale=language, project="Gridbeacon", fuzzy=False)
    made.creation_date = made.revision_date = known.creation_date  # nothing but texts changes the file
    for text in texts():
        before = known.get(text)
        made.add(text, before.string if before is not None else "")
    return made


def compiled(catalog: Catalog) -> bytes:
    """Return a catalogue as gettext reads it."""
    out = io.BytesIO()
    write_mo(out, catalog)
    return out.getvalue()


def update() -> dict[str, int]:
    """Write the catalogues anew, and return how many texts of each language are not translated."""
    empty = {}
    for language in LANGUAGES:
        made = renewed(language)
        file = file_of(language)
        with file.open("wb") as out:
            write_po(out, made, width=120, omit_header=False)
        file.with_suffix(".mo").write_bytes(compiled(made))
        empty[language] = sum(1 for one in made if one.id and not one.string)
    return empty
