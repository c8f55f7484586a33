"""Formats of answers: which can be sent piece by piece, and how the pieces fit together.

chDB makes of every piece a whole document: rows alone in some formats, with a head in others. A head that comes again
is cut off. Formats that have a tail (JSON, Parquet, Pretty …) can't be put together and are sent whole.
"""

import re
from collections.abc import Callable, Mapping

from sinks.embedded.wire import Reader

_ROWS = frozenset(
    "tabseparated tsv tabseparatedraw tsvraw csv tskv rowbinary jsoneachrow jsonlines ndjson jsonstringseachrow "
    "jsoncompacteachrow jsoncompactstringseachrow lineasstring bsoneachrow msgpack native rawblob values null".split()
)
"""Nothing but rows; Values has a comma between them."""
_HEADED = frozenset("tabseparated tsv csv rowbinary jsoncompacteachrow jsoncompactstringseachrow".split())
"""Of these, what also comes with a head whose end can be found, whatever the columns' names."""
_TAILS = re.compile(r"\b(?:totals|extremes)\b|array_of_rows", re.IGNORECASE)
"""Words of a statement or a setting that may put something around or behind the rows."""
_TSV_LINE = re.compile(rb"[^\n]*\n")
_CSV_LINE = re.compile(rb'(?:"(?:[^"]|"")*"|[^"\n])*\n')
_PLAIN = "text/plain; charset=UTF-8"
_BINARY = re.compile(
    r"native|rowbinary|parquet|arrow|orc|avro|msgpack|bson|protobuf|capnproto|npy|rawblob", re.IGNORECASE
)


def streams(form: str, sql: str, settings: Mapping[str, str]) -> bool:
    """Return whether the pieces of a format are fit to be sent as they come.

    >>> streams("CSVWithNames", "SELECT 1", {}), streams("JSON", "SELECT 1", {}), streams("TSV", "… WITH TOTALS", {})
    (True, False, False)
    """
    folded = form.casefold()
    if folded == "native":
        return True
    if folded not in _ROWS and _head_of(folded) is None:
        return False
    return not _TAILS.search(sql) and not any(_TAILS.search(name) for name in settings)


def has_head(form: str) -> bool:
    """Return whether a streamed format says something even of no rows."""
    return _head_of(form.casefold()) is not None


def joined(form: str) -> Callable[[bytes], bytes]:
    """Return what makes of each document of a streamed format, in their order, its part of the one answer."""
    folded = form.casefold()
    head_of = _head_of(folded)
    between = b"," if folded == "values" else b""
    first = True

    def part(document: bytes) -> bytes:
        nonlocal first
        begins, first = first, False
        if begins:
            return document
        return between + document if head_of is None else document[head_of(document) :]

    return part


def content_type(form: str) -> str:
    """Return the media type of a format.

    >>> content_type("CSVWithNames"), content_type("JSONEachRow"), content_type("Parquet")
    ('text/csv; charset=UTF-8; header=present', 'application/x-ndjson; charset=UTF-8', 'application/octet-stream')
    """
    folded = form.casefold()
    if _BINARY.match(folded):
        return "application/octet-stream"
    if folded.startswith("csv"):
        return f"text/csv; charset=UTF-8; header={'present' if 'withnames' in folded else 'absent'}"
    if folded.startswith(("tsv", "tabseparated")):
        return "text/tab-separated-values; charset=UTF-8"
    if folded in ("jsonlines", "ndjson") or (folded.startswith("json") and "eachrow" in folded):
        return "application/x-ndjson; charset=UTF-8"
    if folded.startswith("json"):
        return "application/json; charset=UTF-8"
    return {"xml": "application/xml; charset=UTF-8", "markdown": "text/markdown; charset=UTF-8"}.get(folded, _PLAIN)


def _head_of(folded: str) -> Callable[[bytes], int] | None:
    """Return what measures the head of a document; None for formats without one, or with more than one."""
    plain, found, types = folded.partition("withnames")
    if not found or types not in ("", "andtypes") or plain not in _HEADED:
        return None
    lines = 2 if types else 1
    if plain == "rowbinary":
        return lambda document: _names_size(document, lines)
    line = _CSV_LINE if plain == "csv" else _TSV_LINE
    return lambda document: _lines_size(document, line, lines)


def _lines_size(document: bytes, line: re.Pattern[bytes], count: int) -> int:
    end = 0
    for _ in range(count):
        found = line.match(document, end)
        end = found.end() if found else end
    return end


def _names_size(document: bytes, times: int) -> int:
    pieces = iter((document,))
    reader = Reader(lambda: next(pieces, b""), limit=len(document) + 16)
    width = reader.varint()
    reader.skip_strings(width * times)
    return len(document) - reader.left
