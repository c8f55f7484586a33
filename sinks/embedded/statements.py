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
_FORMAT = re.compile(r"\bFORMAT\s+\w+(\s+SETTINGS\s[^']*)?;?\s*$", re.IGNORECASE)
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
    return _FORMAT.sub(r"\1", sql)


def reads(sql: str) -> bool:
    """Return whether the statement is a SELECT."""
    return _READS.match(sql) is not None


def quoted(value: str) -> str:
    """Return text as a string literal."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def identifier(name: str) -> str:
    """Return a name as a quoted identifier."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"
