"""What the endpoint must know about a statement's text. Everything else about SQL is chDB's business."""

import re
from typing import NamedTuple

from sinks.embedded.wire import ServerError

# Possessive, so that no text makes the search take longer than its length.
_GAP = r"(?:\s++|--[^\n]*+|/\*(?>.*?\*/))*+"
_NAME = r"""(?:`(?:[^`\\]|\\.)+`|"(?:[^"\\]|\\.)+"|\w+)"""
_TARGET = re.compile(
    _GAP + r"(?P<into>INSERT\s+INTO\s+(?:TABLE\s+)?"
    rf"(?P<table>FUNCTION\s+\w+\s*\(.*?\)|{_NAME}(?:\s*\.\s*{_NAME})?)"
    r"\s*(?:\((?P<columns>.*)\)\s*)?)(?P<settings>SETTINGS\s.*)?$",
    re.IGNORECASE | re.DOTALL,
)
_INSERTS = re.compile(_GAP + r"INSERT\s+INTO\s", re.IGNORECASE | re.DOTALL)
_ROWS_FOLLOW = re.compile(r"\b(?:VALUES|FORMAT\s+\w+)$", re.IGNORECASE)
_LAST_WORDS = 100
_LAST_CLAUSES = 2000
_TEXT = r"""'(?:[^'\\]|\\.|'')*+'|`(?:[^`\\]|\\.)*+`|"(?:[^"\\]|\\.)*+\""""
_FORMAT = re.compile(
    rf"\bFORMAT\s+(?P<form>\w+)(?P<settings>\s+SETTINGS\s(?:[^'`\"]|{_TEXT})*?)?{_GAP};?{_GAP}$",
    re.IGNORECASE | re.DOTALL,
)
_INNER = rf"(?:[^()'`\"]|{_TEXT}|\((?:[^()'`\"]|{_TEXT}|\([^()]*+\))*+\))*+"
_ROWS = re.compile(
    _GAP + rf"(?P<head>INSERT\s+INTO\s+(?:TABLE\s+)?(?:FUNCTION\s+\w+\s*\({_INNER}\)|{_NAME}(?:\s*\.\s*{_NAME})?)"
    rf"\s*+(?:\((?!\s*(?:SELECT|WITH)\b){_INNER}\)\s*+)?"
    rf"(?:SETTINGS\s+\w+\s*=\s*(?:{_TEXT}|[\w.+-]+)(?:\s*,\s*\w+\s*=\s*(?:{_TEXT}|[\w.+-]+))*+\s*+)?)"
    r"(?:FORMAT\s+(?P<form>\w+)[ \t\f]*+(?:;(?=\s*\Z))?\r?\n?|VALUES\b(?=\s*(?:\(|;?\s*\Z))|(?P<bare>;?\s*\Z))",
    re.IGNORECASE | re.DOTALL,
)
_GOES_ON = re.compile(_GAP + r"[(\s]*(?:SELECT|WITH|FORMAT|VALUES|SETTINGS|FROM)\b", re.IGNORECASE | re.DOTALL)
_READS = re.compile(_GAP + r"[(\s]*(SELECT|WITH|FROM)\b", re.IGNORECASE | re.DOTALL)


def insert_head(sql: str) -> str | None:
    """Return an INSERT without its last words (VALUES, FORMAT x) when its rows follow as blocks, else None.

    >>> insert_head("INSERT INTO t (a) VALUES")
    'INSERT INTO t (a)'
    >>> insert_head("INSERT INTO t (a) VALUES (1)") is None
    True
    """
    if not _INSERTS.match(sql):
        return None
    text = sql.rstrip().rstrip(";").rstrip()
    found = _ROWS_FOLLOW.search(text[-_LAST_WORDS:])
    return text[: -len(found[0])].rstrip() if found else None


class Target(NamedTuple):
    """Where an INSERT goes: the statement as far as its columns, its SETTINGS, and a SELECT of the same columns."""

    into: str
    settings: str
    select: str


def target(head: str) -> Target:
    """Return what the head of an INSERT names. Raises ``ServerError`` when it can't be read."""
    found = _TARGET.match(head)
    if not found:
        raise ServerError(62, f"Syntax error: can't read the table and columns of {head[:200]}")
    table = re.sub(r"(?i)^FUNCTION\s", "", found["table"])
    select = f"SELECT {found['columns'] or '*'} FROM {table}"  # noqa: S608 - a client's own words, run in its own name
    return Target(found["into"].rstrip(), found["settings"] or "", select)


def without_format(sql: str) -> str:
    """Return the statement without its FORMAT clause: over this protocol results are blocks, and formats the client's.

    >>> without_format("SELECT 1 FORMAT JSON SETTINGS max_threads = 1")
    'SELECT 1  SETTINGS max_threads = 1'
    """
    return split_format(sql)[0]


def split_format(sql: str) -> tuple[str, str]:
    """Return the statement without its FORMAT clause, and the name of the format, empty where there is none.

    >>> split_format("SELECT 1 FORMAT JSON; -- all"), split_format("SELECT 'FORMAT x'")
    (('SELECT 1 ', 'JSON'), ("SELECT 'FORMAT x'", ''))
    """
    begin = max(0, len(sql) - _LAST_CLAUSES)
    found = _FORMAT.search(sql, begin)
    return (sql[: found.start()] + (found["settings"] or ""), found["form"]) if found else (sql, "")


class Rows(NamedTuple):
    """An INSERT whose rows follow it: the statement up to VALUES or FORMAT, the format, where the rows begin.

    The format is empty where the text ends before either.
    """

    head: str
    form: str
    begin: int


def rows_of(text: bytes) -> Rows | None:
    """Return how an INSERT at the begin of a text is divided, None when it is another statement, or has no rows.

    >>> rows_of(b"INSERT INTO t (a) FORMAT CSV 1")
    Rows(head='INSERT INTO t (a)', form='CSV', begin=29)
    >>> rows_of(b"INSERT INTO t VALUES (1)"), rows_of(b"INSERT INTO t SELECT 1"), rows_of(b"INSERT INTO t (SELECT 1)")
    (Rows(head='INSERT INTO t', form='Values', begin=20), None, None)
    """
    found = _ROWS.match(text.decode("latin-1"))  # one character for each byte: what follows need not be text
    if not found:
        return None
    head = text[found.start("head") : found.end("head")].decode("utf-8", "replace").rstrip()
    form = found["form"] or ("" if found["bare"] is not None else "Values")
    return Rows(head, form, found.end())


def goes_on(text: bytes) -> bool:
    """Return whether a text that follows the begin of an INSERT is more of the statement, not rows.

    >>> goes_on(b" SELECT 1"), goes_on(b"FORMAT CSV"), goes_on(b"(1, 'a')")
    (True, True, False)
    """
    return _GOES_ON.match(text.decode("latin-1")) is not None


def reads(sql: str) -> bool:
    """Return whether the statement is a SELECT."""
    return _READS.match(sql) is not None


def quoted(value: str) -> str:
    """Return text as a string literal."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def identifier(name: str) -> str:
    """Return a name as a quoted identifier."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"
