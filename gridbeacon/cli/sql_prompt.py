"""The prompt of ``gridbeacon sql``: history, completion, statements over several lines, and answers with their time."""

import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import WordCompleter
from prompt_toolkit.filters import Condition
from prompt_toolkit.history import FileHistory
from prompt_toolkit.lexers import PygmentsLexer
from pygments.lexers.sql import SqlLexer  # type: ignore[import-untyped]

from gridbeacon.cli.sql_output import table
from gridbeacon.config import Config
from gridbeacon.errors import ConfigError, GridbeaconError
from sinks.clickhouse import answers, connect

KEYWORDS = (
    "SELECT FROM WHERE PREWHERE GROUP BY HAVING ORDER LIMIT OFFSET WITH AS FINAL JOIN INNER LEFT ON USING UNION ALL "
    "DISTINCT AND OR NOT IN BETWEEN LIKE ILIKE IS NULL CASE WHEN THEN ELSE END DESC ASC INTERVAL ARRAY OVER PARTITION "
    "SHOW TABLES DESCRIBE EXPLAIN"
).split()
HELP = """\
End a statement with ; and Enter. Tab completes tables, columns and functions; Ctrl-R searches what you asked before.
  tables            what there is          describe NAME     columns of a table or view, with their meaning
  help              this                   exit, Ctrl-D      leave
Ctrl-C gives up the question, not the prompt. Questions to learn from: docs/sql.md
"""
SHOWN_ROWS = 1000
_WORDS = ("help", "exit", "quit", "tables")


def is_whole(text: str) -> bool:
    """Return whether Enter should run what was typed: a word of the prompt, nothing, or a statement with its ``;``.

    >>> is_whole("SELECT 1"), is_whole("SELECT ';'"), is_whole("SELECT 1;"), is_whole("describe alerts")
    (False, False, True, True)
    """
    line = text.strip()
    if not line or line.lower() in _WORDS or (line.lower().startswith("describe ") and "\n" not in line):
        return True
    return line.endswith(";") and line.count("'") % 2 == 0


def words_of(client: Any) -> list[str]:
    """Return what completion knows: keywords, and the names of tables, columns and functions of the database."""
    found = client.execute(
        "SELECT name FROM system.tables WHERE database = currentDatabase() UNION DISTINCT "
        "SELECT name FROM system.columns WHERE database = currentDatabase() UNION DISTINCT "
        "SELECT name FROM system.functions WHERE match(name, '^[a-z]')"
    )
    return sorted({*KEYWORDS, *(str(name) for (name,) in found), *_WORDS, "describe"})


class Prompt:
    """A conversation with the database that ``config`` names; ``folder`` keeps what was asked."""

    def __init__(self, config: Config, folder: Path, **session: Any) -> None:
        self._config = config
        self._client = connect(config)
        with answers(config):
            words = words_of(self._client)
        history: Any = None
        if folder.is_dir():
            history = FileHistory(str(folder / "sql_history"))
        self._session: PromptSession[str] = PromptSession(
            history=history,
            completer=WordCompleter(words, ignore_case=True, WORD=False),
            complete_while_typing=False,
            lexer=PygmentsLexer(SqlLexer),
            multiline=Condition(lambda: not is_whole(self._session.default_buffer.text)),
            **session,
        )

    def run(self) -> None:
        """Ask and answer until the end."""
        clickhouse = self._config.clickhouse
        self._say(f"ClickHouse as {clickhouse.username}, database {clickhouse.database}; help says how\n")
        while True:
            try:
                text = self._session.prompt(f"{clickhouse.database}> ", prompt_continuation="  ... ")
            except KeyboardInterrupt:
                continue
            except EOFError:
                break
            if not self.take(text.strip()):
                break
        self._client.disconnect()

    def take(self, text: str) -> bool:
        """Do what one input asks for; return False when it was the end."""
        word = text.rstrip(";").strip()
        if word.lower() in ("exit", "quit"):
            return False
        if word.lower() == "help":
            self._say(HELP)
        elif word.lower() == "tables":
            self._answer("SELECT name, comment FROM system.tables WHERE database = currentDatabase() ORDER BY name")
        elif word.lower().startswith("describe "):
            self._answer(
                "SELECT name, type, comment FROM system.columns WHERE database = currentDatabase() "
                "AND table = %(table)s ORDER BY position",
                {"table": word.split(maxsplit=1)[1]},
            )
        elif word:
            self._answer(word)
        return True

    def _answer(self, sql: str, parameters: dict[str, str] | None = None) -> None:
        began = time.monotonic()
        try:
            with answers(self._config):
                found = self._client.execute_iter(sql, parameters, with_column_types=True)
                columns: list[Any] = next(found, [])
                rows = list(_first(found, SHOWN_ROWS + 1))
        except (KeyboardInterrupt, ConfigError, GridbeaconError) as error:
            self._client.disconnect()
            self._say("given up\n" if isinstance(error, KeyboardInterrupt) else f"{error}\n")
            return
        more = len(rows) > SHOWN_ROWS
        if more:
            self._client.disconnect()  # nobody wants the rest
        if columns:
            self._say(table([name for name, _ in columns], rows[:SHOWN_ROWS])[0])
        count = f"first {SHOWN_ROWS} rows" if more else f"{len(rows)} rows"
        self._say(f"{count}, {time.monotonic() - began:.3f} s\n")

    @staticmethod
    def _say(text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()


def _first(rows: Iterable[Any], count: int) -> Iterable[Any]:
    for number, row in enumerate(rows):
        if number >= count:
            return
        yield row
