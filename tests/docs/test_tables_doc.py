"""The questions of ``docs/tables.md`` read tables as the page itself says they must be read."""

import re
from pathlib import Path

from sinks.migrate import migrations

ROOT = Path(__file__).resolve().parents[2]
DOC = (ROOT / "docs" / "tables.md").read_text(encoding="utf-8")


def names(kinds: str) -> set[str]:
    """Return what the files make of these kinds."""
    statements = [statement for one in migrations() for statement in one.statements]
    return {found[2] for sql in statements if (found := re.match(rf"CREATE ({kinds}) (\w+)", sql))}


def test_every_question_names_tables_and_reads_them_once() -> None:
    questions = re.findall(r"^```sql\n(.*?)^```$", DOC, re.MULTILINE | re.DOTALL)
    assert len(questions) == 5
    tables, views = names("TABLE"), names("VIEW")
    for sql in questions:
        read = re.findall(r"\b(?:FROM|JOIN) (\w+)( FINAL)?", sql)
        assert read
        for table, final in read:
            assert table in tables | views, sql
            assert final or table in views, sql
