"""``docs/tables.md`` lists every table, view, column and comment of the schema, in its order, and no other."""

import re
from pathlib import Path

from sinks.migrate import migrations

ROOT = Path(__file__).resolve().parents[2]
DOC = (ROOT / "docs" / "tables.md").read_text(encoding="utf-8")
TEXT = r"'((?:[^']|'')*)'"


def said(text: str) -> str:
    return text.replace("''", "'")


def schema() -> list[tuple[str, str, str, list[tuple[str, str, str]]]]:
    """Return (name, comment, key, columns as (name, type, comment)) of each table and view."""
    found = []
    for statement in (statement for one in migrations() for statement in one.statements):
        kind, name = re.match(r"CREATE (TABLE|VIEW) (\w+)", statement).groups()
        comment = re.search(rf"^COMMENT {TEXT}$", statement, re.MULTILINE)[1]
        lines = [line for line in statement.splitlines() if line.startswith("    ")]
        columns = [re.fullmatch(rf"    (\w+) (.+) COMMENT {TEXT},?", line).groups() for line in lines]
        assert bool(columns) == (kind == "TABLE")
        key = re.search(r"^ORDER BY \(?([^()\n]+)", statement, re.MULTILINE)[1] if kind == "TABLE" else ""
        found.append((name, said(comment), key, [(column, kind_of, said(text)) for column, kind_of, text in columns]))
    return found


def sections() -> dict[str, str]:
    """Return the text below each heading of a table."""
    parts = re.split(r"^### `(\w+)`\n", DOC.partition("## Tables and views")[2], flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_every_table_has_its_section_and_no_other() -> None:
    assert list(sections()) == [name for name, *_ in schema()]


def test_every_column_has_its_row_with_type_and_comment() -> None:
    for name, comment, key, columns in schema():
        text = sections()[name]
        assert text.startswith(f"\n{comment}.\n"), name
        rows = [line for line in text.splitlines() if line.startswith("| `")]
        assert rows == [f"| `{column}` | `{kind}` | {meaning} |" for column, kind, meaning in columns], name
        if key:
            assert f"\nKey: {', '.join(f'`{part}`' for part in key.split(', '))}.\n" in text, name


def test_every_question_names_tables_and_reads_them_once() -> None:
    questions = re.findall(r"^```sql\n(.*?)^```$", DOC, re.MULTILINE | re.DOTALL)
    assert len(questions) == 5
    tables = {name for name, *_ in schema()}
    for sql in questions:
        read = re.findall(r"\b(?:FROM|JOIN) (\w+)( FINAL)?", sql)
        assert read
        for table, final in read:
            assert table in tables, sql
            assert final, sql


def test_times_that_are_named_are_columns() -> None:
    columns = {column for *_, found in schema() for column, kind, _ in found if "DateTime64" in kind}
    advice = re.search(r"\*\*Times are UTC.\*\*(.*?)\n- ", DOC, re.DOTALL)[1]
    assert set(re.findall(r"`(\w+)`", advice)) <= columns
