"""Who may log in to the embedded ClickHouse, what a reader may ask, and whose query runs next."""

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridbeacon.config import Account, ClickHouse
from gridbeacon.errors import ConfigError
from sinks.embedded import listeners, native, policy
from sinks.embedded.accounts import Accounts, hash_password
from sinks.embedded.gate import Gate
from sinks.embedded.wire import ServerError

HASH = hash_password("richtig")
READER = Account(name="analyst", max_secs=10, max_queries=2)
WRITER = Account(name="writer", role="writer", max_queries=2)
REACHING = policy.outside(["file", "url", "Python", "numbers", "view"], ["aiGenerate", "aiueo", "file"])


def code_of(call, *args) -> int:
    with pytest.raises(ServerError) as caught:
        call(*args)
    return caught.value.code


def test_whoever_is_on_this_machine_may_log_in_when_nobody_is_named() -> None:
    accounts = Accounts()
    assert accounts.login("", "").role == "writer"
    assert accounts.login("default", "anything").role == "writer"
    assert accounts.login("grafana", "").role == "reader"
    assert code_of(accounts.login, "root", "") == 516


def test_a_password_is_asked_for_where_there_is_one() -> None:
    accounts = Accounts([Account(name="analyst", password_hash=HASH)])
    for _ in range(2):  # the second time from memory
        assert accounts.login("analyst", "richtig").name == "analyst"
        assert code_of(accounts.login, "analyst", "falsch") == 516
    assert code_of(accounts.login, "analyst", "") == 516
    assert code_of(accounts.login, "default", "") == 516
    assert "richtig" not in HASH
    assert hash_password("richtig") != HASH


@pytest.mark.parametrize("text", ["richtig", "scrypt:1:a:b", "scrypt:16384:AAAA:AAAA", "md5:16384:AAAA:AAAA"])
def test_a_hash_that_is_none_is_said_at_the_start(text: str) -> None:
    with pytest.raises(ConfigError, match="hash-password"):
        Accounts([Account(name="analyst", password_hash=text)])


@pytest.mark.parametrize(
    "normal",
    [
        "SELECT 1",
        "WITH x AS (SELECT 1) SELECT * FROM x",
        "SHOW TABLES",
        "DESCRIBE TABLE t",
        "EXPLAIN SELECT 1",
        "EXISTS TABLE t",
        "USE db",
        "SELECT * FROM numbers(3)",
        "SELECT 'file(1)', `file`, file, count(file) FROM db.file",
        "SELECT profile('x')",
        "SELECT aiueo(1)",
    ],
)
def test_a_reader_may_ask(normal: str) -> None:
    policy.check(normal, REACHING - {"aiueo"}, READER)


@pytest.mark.parametrize(
    ("normal", "code"),
    [
        ("INSERT INTO t FORMAT Values", 164),
        ("KILL QUERY WHERE 1 ASYNC", 164),
        ("SYSTEM STOP MERGES", 164),
        ("SET max_threads = 1", 164),
        ("CREATE TABLE t (a UInt8)", 164),
        ("", 164),
        ("SELECTED", 164),
        ("SELECT file('/etc/passwd')", 497),
        ("DESCRIBE TABLE file('x')", 497),
        ("SELECT * FROM python(os)", 497),
        ("SELECT * FROM PYTHON(os)", 497),
        ("SELECT (SELECT * FROM url('http://x'))", 497),
        ("SELECT aiGenerate('x')", 497),
        ("EXPLAIN SELECT '\\'', file('x')", 497),
    ],
)
def test_a_reader_may_not(normal: str, code: int) -> None:
    assert code_of(policy.check, normal, REACHING, READER) == code


def test_a_readers_limits_always_hold() -> None:
    found = policy.settings({}, READER)
    assert found["max_execution_time"] == "10.0" or found["max_execution_time"] == "10"
    assert found["readonly"] == "1"
    assert int(found["max_memory_usage"]) == READER.max_memory_mb << 20
    assert policy.settings({"max_execution_time": "3", "readonly": "0"}, READER)["max_execution_time"] == "3"
    assert policy.settings({"readonly": "0"}, READER)["readonly"] == "1"


@pytest.mark.parametrize("asked", ["11", "0", "-1", "nan", "inf", "1e9"])
def test_more_than_the_limit_is_refused(asked: str) -> None:
    assert code_of(policy.settings, {"max_execution_time": asked}, READER) == 452


def test_another_language_is_refused_and_a_writer_sets_what_it_likes() -> None:
    assert code_of(policy.settings, {"dialect": "kusto"}, READER) == 452
    assert policy.settings({"max_execution_time": "0", "dialect": "kusto"}, WRITER) == {
        "max_execution_time": "0",
        "dialect": "kusto",
    }


@pytest.mark.parametrize(
    ("normal", "writes"),
    [
        ("SELECT 1 INTO OUTFILE '/tmp/x'", True),
        ("INSERT INTO t FROM INFILE 'x' FORMAT CSV", True),
        ("SELECT 'INTO OUTFILE'", False),
        ("SELECT `INTO OUTFILE` FROM t", False),
        ("SELECT '\\'' INTO OUTFILE 'x'", True),
    ],
)
def test_files_of_the_machine_are_seen(normal: str, writes: bool) -> None:
    assert policy.writes_files(normal) is writes


@pytest.mark.parametrize(
    "kind",
    [
        "UInt8",
        "Map(String, Array(UInt8))",
        "DateTime64(3, 'UTC')",
        "Enum8('a)' = 1, '\\'' = -2)",
        "Tuple(a UInt8, b String)",
    ],
)
def test_types_are_types(kind: str) -> None:
    assert native.is_type(kind)


@given(st.sampled_from(["UInt8", "Enum8('a' = 1)", "Array(UInt8)"]), st.text(min_size=1, max_size=20))
def test_nothing_comes_behind_a_type(kind: str, more: str) -> None:
    """No text behind a whole type makes it another one that would say more than a type to the parser."""
    found = kind + " " + more.replace("(", "").replace(")", "")
    assert not native.is_type(found) or not found.strip().removeprefix(kind).strip()


def test_users_take_turns() -> None:
    gate = Gate(readers=1, wait_secs=10)
    greedy, modest = Account(name="greedy"), Account(name="modest")
    order: list[str] = []

    def ask(account: Account) -> None:
        with gate.turn(account):
            order.append(account.name)

    def waiting() -> int:
        return sum(map(len, gate._queues.values()))

    threads = []
    with gate.turn(greedy):
        for n, account in enumerate([greedy, greedy, greedy, modest]):
            threads.append(threading.Thread(target=ask, args=(account,)))
            threads[-1].start()
            while waiting() <= n:
                time.sleep(0.001)
    for thread in threads:
        thread.join()
    assert order.index("modest") == 1
    assert gate.running == 0


def test_readers_never_take_the_writers_places_and_nobody_more_than_theirs() -> None:
    gate = Gate(readers=5, writers=1, wait_secs=0.05)
    with gate.turn(READER), gate.turn(READER):
        assert code_of(gate.turn(READER).__enter__) == 202
        with gate.turn(WRITER):
            assert code_of(gate.turn(WRITER).__enter__) == 202
    with gate.turn(READER):
        assert gate.running == 1


def test_a_full_queue_refuses_at_once_and_a_client_that_left_waits_no_more() -> None:
    gate = Gate(readers=1, waiting=0, wait_secs=60)
    assert code_of(gate.turn(READER).__enter__) == 202
    gate = Gate(readers=1, wait_secs=60)
    with gate.turn(READER):
        assert code_of(gate.turn(READER, lambda: True).__enter__) == 394
    with gate.turn(READER):
        assert gate.running == 1


def test_beyond_this_machine_needs_passwords_and_tls() -> None:
    far = ClickHouse(listen="0.0.0.0", accounts=(Account(name="analyst", password_hash=HASH),))
    with pytest.raises(ConfigError, match="without TLS"):
        listeners.guard(far, Accounts(far.accounts))
    with pytest.raises(ConfigError, match="no password"):
        listeners.guard(far, Accounts())
    listeners.guard(ClickHouse(), Accounts())
    listeners.guard(ClickHouse(listen="::1"), Accounts())
    listeners.guard(ClickHouse(listen="0.0.0.0", allow_plain=True), Accounts(far.accounts))
    with pytest.raises(ConfigError, match="can't be read"):
        listeners.tls(ClickHouse(tls_cert_file="/no/such.pem"))
