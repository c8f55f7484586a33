"""Every client an analyst may use gets the same answers to the same questions."""

from collections.abc import Callable

import clickhouse_connect
import pytest
from clickhouse_driver import Client

from tests.clients.asked_programs import Program
from tests.clients.asked_python import Connect, Driver, name_of
from tests.clients.asking import (
    ALL_SQL,
    COLUMNS,
    ERRORS,
    MILLION,
    QUESTIONS,
    Asked,
    reason_not_to_ask,
    reason_not_to_write,
    requests,
)
from tests.servers import Server

# Programs in other languages are built by the first test, on a new machine with all that they stand on.
pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]


def driver(how: str = "execute", **options) -> Callable[[pytest.FixtureRequest], Asked]:
    def made(request: pytest.FixtureRequest) -> Asked:
        server: Server = request.getfixturevalue("server")
        settings = {"server_side_params": True, "use_numpy": options.get("use_numpy", False)}
        given = {name: value for name, value in options.items() if name != "use_numpy"}
        client = server.client(settings=settings, **given)
        request.addfinalizer(client.disconnect)
        return Driver(client, how, use_numpy=options.get("use_numpy", False))

    return made


def go(compress: str, api: str = "native", protocol: str = "native") -> Callable[[pytest.FixtureRequest], Asked]:
    def made(request: pytest.FixtureRequest) -> Asked:
        port = request.getfixturevalue("http_port" if protocol == "http" else "server")
        if protocol == "native":
            port = port.port
        program = request.getfixturevalue("go_program")
        options = {"address": f"127.0.0.1:{port}", "protocol": protocol, "compress": compress, "api": api}
        return Program((str(program),), options)

    return made


def connect(compress: str) -> Callable[[pytest.FixtureRequest], Asked]:
    def made(request: pytest.FixtureRequest) -> Asked:
        port = request.getfixturevalue("http_port")
        client = clickhouse_connect.get_client(host="127.0.0.1", port=port, compress=compress)
        request.addfinalizer(client.close)
        return Connect(client)

    return made


CLIENTS = {
    "driver": driver(),
    "driver lz4 iter": driver("execute_iter", compression="lz4"),
    "driver zstd": driver(compression="zstd"),
    "driver numpy": driver(use_numpy=True, compression="lz4"),
    "go": go("none"),
    "go lz4": go("lz4"),
    "go zstd": go("zstd"),
    "go database/sql": go("lz4", "database/sql"),
    "connect": connect(""),
    "connect lz4": connect("lz4"),
    "connect zstd": connect("zstd"),
    "connect gzip": connect("gzip"),
    "jdbc": lambda request: request.getfixturevalue("jdbc"),
    "go http": go("none", protocol="http"),
    "go http gzip": go("gzip", "database/sql", protocol="http"),
    "go http lz4": go("lz4", protocol="http"),
}


@pytest.fixture(scope="module", params=list(CLIENTS))
def named(request: pytest.FixtureRequest) -> tuple[str, Asked]:
    return request.param, CLIENTS[request.param](request)


@pytest.fixture
def asked(named: tuple[str, Asked]) -> Asked:
    return named[1]


def test_values_and_types_of_every_column(named: tuple[str, Asked]) -> None:
    client, asked = named
    columns = {name: values for name, values in COLUMNS.items() if not reason_not_to_ask(client, name)}
    answers = asked.answer([{"name": name, "sql": f"SELECT {name} FROM clients.types ORDER BY id"} for name in columns])
    assert {
        name: [*told["types"], *(row[0] for row in told["rows"])] if "rows" in told else told
        for name, told in answers.items()
    } == columns


def test_all_columns_at_once(named: tuple[str, Asked]) -> None:
    client, asked = named
    answer = asked.answer([{"name": "all", "sql": ALL_SQL}])["all"]
    assert "rows" in answer, answer
    found = dict(zip(COLUMNS, zip(*answer["rows"], strict=True), strict=True))
    for name, (_, *values) in COLUMNS.items():
        assert list(found[name]) == values or reason_not_to_ask(client, name)


def test_questions(named: tuple[str, Asked]) -> None:
    client, asked = named
    questions = [one for one in QUESTIONS if not reason_not_to_ask(client, one["name"])]
    answers = asked.answer(requests(questions))
    assert {name: told.get("rows", told) for name, told in answers.items()} == {
        one["name"]: one["rows"] for one in questions
    }


def test_errors_have_the_code_and_name_of_clickhouse_and_the_client_goes_on(named: tuple[str, Asked]) -> None:
    client, asked = named
    errors = [one for one in ERRORS if not reason_not_to_ask(client, one["name"])]
    answers = asked.answer([*requests(errors), {"name": "after", "sql": "SELECT 5"}])
    assert answers.pop("after")["rows"] == [["5"]]
    assert {name: (told.get("code"), name_of(told.get("text", ""))) for name, told in answers.items()} == {
        one["name"]: (one["code"], one["word"]) for one in errors
    }


def test_a_million_rows(asked: Asked) -> None:
    answer = asked.answer([{"name": "million", "digest": MILLION["sql"]}])["million"]
    assert answer == {"rows": MILLION["rows"], "sum": MILLION["sum"], "words": MILLION["words"]}


def stored(admin: Client, table: str) -> dict[str, list[str]]:
    """The values of a table by columns, as the server's own text."""
    # A map has no order; some clients have their own.
    values = [f"mapSort({name})" if kind[0].startswith("Map") else name for name, kind in COLUMNS.items()]
    texts = ", ".join(f"groupArray(toString(tuple({value})))" for value in values)
    found = admin.execute(f"SELECT {texts} FROM (SELECT * FROM {table} ORDER BY id)")[0]
    return dict(zip(COLUMNS, found, strict=True))


def test_rows_of_all_types_are_inserted_as_they_were_read(
    named: tuple[str, Asked], server: Server, admin: Client
) -> None:
    client, asked = named
    admin.execute("CREATE OR REPLACE TABLE clients.copied AS clients.types")
    answer = asked.answer([{"name": "fill", "source": "clients.types", "target": "clients.copied"}])["fill"]
    assert answer == {"rows": 4}
    found, wanted = stored(admin, "clients.copied"), stored(admin, "clients.types")
    different = {name: found[name] for name in COLUMNS if found[name] != wanted[name]}
    assert {name: values for name, values in different.items() if not reason_not_to_write(client, name)} == {}
