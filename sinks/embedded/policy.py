"""What a reader may ask: questions, about tables, within limits.

chDB's own ``readonly = 1`` does most of it (no INSERT, no DDL, no changed settings, hardly a table function), but lets
pass ``INTO OUTFILE``, the function ``file``, ``DESCRIBE file(…)``, ``python(…)``, ``KILL`` and ``SYSTEM``. So the
statement must be one of a few kinds, and name none of the functions that reach outside. It is looked at in chDB's own
normal form, from its own parser: no comment or odd quoting hides anything there.
"""

import re
from collections.abc import Callable, Iterable, Mapping

from gridbeacon.config import Account
from sinks.embedded.wire import ServerError

READONLY, SETTING_CONSTRAINT_VIOLATION, ACCESS_DENIED = 164, 452, 497
HARMLESS = frozenset(
    "numbers numbers_mt zeros zeros_mt primes generateRandom generateSeries generate_series values SQLStandardValues "
    "view null format merge mergeTreeIndex mergeTreeProjection".casefold().split()
)
"""Table functions that only compute, or read tables."""
_KINDS = re.compile(r"(?:SELECT|WITH|SHOW|DESCRIBE|EXPLAIN|EXISTS|USE)\b")
_QUOTED = re.compile(r"'(?:[^'\\]|\\.)*'|`(?:[^`\\]|\\.)*`|\"(?:[^\"\\]|\\.)*\"", re.DOTALL)
_CALL = re.compile(r"(?<![\w.`])([A-Za-z_]\w*)\(")
_OUTFILE = re.compile(r"\bINTO OUTFILE\b|\bFROM INFILE\b")
_LIMITS: dict[str, Callable[[Account], float]] = {
    "max_execution_time": lambda a: a.max_secs,
    "max_rows_to_read": lambda a: a.max_read_rows,
    "max_result_rows": lambda a: a.max_result_rows,
    "max_result_bytes": lambda a: a.max_result_mb << 20,
    "max_memory_usage": lambda a: a.max_memory_mb << 20,
}
_ASIDE = frozenset({"readonly", "profile", "max_execution_time_leaf", "timeout_overflow_mode_leaf", "async_insert"})
"""Settings that clients send by habit, and that mean nothing for a reader or would undo what a reader is."""
_REFUSED = frozenset({"dialect"})
"""In another language a statement would be run otherwise than it was looked at."""


def outside(table_functions: Iterable[str], functions: Iterable[str]) -> frozenset[str]:
    """Return the functions, in lower case, that reach files, hosts or this process: all table functions but the
    harmless, and those that ask a language model."""
    reaching = {name.casefold() for name in table_functions} - HARMLESS
    return frozenset(reaching | {name.casefold() for name in functions if re.match(r"(?i:ai)[A-Z]", name)})


def writes_files(normal: str) -> bool:
    """Return whether a statement in normal form names files of the server's machine as its input or output.

    >>> writes_files("SELECT 1 INTO OUTFILE 'x'"), writes_files("SELECT 'INTO OUTFILE'")
    (True, False)
    """
    return _OUTFILE.search(_QUOTED.sub("''", normal)) is not None


def check(normal: str, reaching: frozenset[str], account: Account) -> None:
    """Return when a reader may run the statement, given in normal form; else raise ``ServerError``."""
    if not _KINDS.match(normal):
        first = normal.split(maxsplit=1)[0] if normal.strip() else "nothing"
        raise ServerError(READONLY, f"{account.name}: Cannot execute query in readonly mode: {first}. (READONLY)")
    bare = _QUOTED.sub("''", normal)
    if found := next((name for name in _CALL.findall(bare) if name.casefold() in reaching), None):
        raise ServerError(
            ACCESS_DENIED,
            f"{account.name}: Not enough privileges: readers can't use {found}(), which reaches beyond the tables. "
            "(ACCESS_DENIED)",
        )


def settings(wanted: Mapping[str, str], account: Account) -> dict[str, str]:
    """Return the settings of a statement: what was asked for, inside the account's limits.

    A reader's limits hold where none is asked for. Raises ``ServerError`` (code 452) when more is asked for than there
    is; 0, which would mean no limit, is more.
    """
    if account.role == "writer":
        return dict(wanted)
    found = {name: value for name, value in wanted.items() if name not in _ASIDE}
    if refused := _REFUSED & found.keys():
        raise ServerError(
            SETTING_CONSTRAINT_VIOLATION,
            f"Setting {min(refused)} should not be changed by user {account.name}. (SETTING_CONSTRAINT_VIOLATION)",
        )
    for name, limit_of in _LIMITS.items():
        limit = limit_of(account)
        asked = _number(found.get(name, ""))
        if asked is None:
            found[name] = repr(limit)
        elif not 0 < asked <= limit:
            raise ServerError(
                SETTING_CONSTRAINT_VIOLATION,
                f"Setting {name} shouldn't be greater than {limit:g} for user {account.name}, or 0. "
                "(SETTING_CONSTRAINT_VIOLATION)",
            )
    found["readonly"] = "1"
    return found


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
