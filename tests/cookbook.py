"""The questions of ``docs/sql.md``, and their answers as the page shows them."""

import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

PAGE = Path(__file__).resolve().parents[1] / "docs" / "sql.md"
_QUESTION = re.compile(
    r"^### (?P<title>.+)\n(?:.*\n)*?```sql\n(?P<sql>(?:.*\n)*?)```\n\n```text\n(?P<answer>(?:.*\n)*?)```", re.MULTILINE
)


class Question(NamedTuple):
    """One question: its heading, its SQL, and the answer on the page."""

    title: str
    sql: str
    answer: str


def questions() -> list[Question]:
    """Return every question of the page."""
    return [Question(*found.groups()) for found in _QUESTION.finditer(PAGE.read_text("utf-8"))]


def shown(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Return an answer as the page shows it."""
    lines = [list(names), *([_text(value) for value in row] for row in rows)]
    widths = [max(len(line[n]) for line in lines) for n in range(len(names))]
    return "".join("  ".join(value.ljust(width) for value, width in zip(line, widths, strict=True)).rstrip() + "\n"
                   for line in lines)  # fmt: skip


def rewrite(answers: dict[str, str]) -> None:
    """Put answers, by heading, into the page."""

    def put(found: re.Match[str]) -> str:
        begin, end = found.span("answer")
        text = found[0]
        return text[: begin - found.start()] + answers[found["title"]] + text[end - found.start() :]

    PAGE.write_text(_QUESTION.sub(put, PAGE.read_text("utf-8")), "utf-8")


def _text(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    return str(value)
