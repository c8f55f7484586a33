"""Every client an analyst may use gets the same answers to the same questions."""

from collections.abc import Callable
from pathlib import Path

import pytest
from clickhouse_driver import Client

from tests.clients.asked_programs import Program, build_go
from tests.clients.asked_python import Driver, name_of
from tests.clients.asking import ALL_SQL, COLUMNS, ERRORS, MILLION, QUESTIONS, Asked, requests
from tests.servers import Server

pytestmark = pytest.mark.integration


@pytest.fixture(scope="session")
def go_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_go(tmp_path_factory.mktemp("go"))


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


CLIENTS = {
    "driver": driver(),
    "driver lz4 iter": driver("execute_iter", compression="lz4"),
    "driver zstd": driver(compression="zstd"),
    "driver numpy": driver(use_numpy=True, compression="lz4"),
    "go": go("none"),
    "go lz4": go("lz4"),
    "go zstd": go("zstd"),
    "go database/sql": go("lz4", "database/sql"),
    "go http": go("none", protocol="http"),
    "go http gzip": go("gzip", "database/sql", protocol="http"),
    "go http lz4": go("lz4", protocol="http"),
}


@pytest.fixture(scope="module", params=list(CLIENTS))
def asked(request: pytest.FixtureRequest) -> Asked:
    return CLIENTS[request.param](request)


def test_values_and_types_of_every_column(asked: Asked) -> None:
    asks = [{"name": name, "sql": f"SELECT {name} FROM clients.types ORDER BY id"} for name in COLUMNS]
    answers = asked.answer(asks)
    found = {name: [*told["types"], *(row[0] for row in told["rows"])] if "rows" in told else told
             for name, told in answers.items()}  # fmt: skip
    assert found == COLUMNS


def test_all_columns_at_once(asked: Asked) -> None:
    answer = asked.answer([{"name": "all", "sql": ALL_SQL}])["all"]
    assert dict(zip(COLUMNS, zip(*answer["rows"], strict=True), strict=True)) == {
        name: tuple(values) for name, (_, *values) in COLUMNS.items()
    }


def test_questions(asked: Asked) -> None:
    answers = asked.answer(requests(QUESTIONS))
    assert {name: told.get("rows", told) for name, told in answers.items()} == {
        one["name"]: one["rows"] for one in QUESTIONS
    }


def test_errors_have_the_code_and_name_of_clickhouse_and_the_client_goes_on(asked: Asked) -> None:
    after = {"name": "after", "sql": "SELECT 5"}
    answers = asked.answer([*requests(ERRORS), after])
    assert answers.pop("after")["rows"] == [["5"]]
    assert {name: (told.get("code"), name_of(told.get("text", ""))) for name, told in answers.items()} == {
        one["name"]: (one["code"], one["word"]) for one in ERRORS
    }


def test_a_million_rows(asked: Asked) -> None:
    answer = asked.answer([{"name": "million", "digest": MILLION["sql"]}])["million"]
    assert answer == {"rows": MILLION["rows"], "sum": MILLION["sum"], "words": MILLION["words"]}


def test_rows_of_all_types_are_inserted_as_they_were_read(asked: Asked, admin: Client) -> None:
    admin.execute("DROP TABLE IF EXISTS clients.copied")
    admin.execute("CREATE TABLE clients.copied AS clients.types")
    answer = asked.answer([{"name": "fill", "source": "clients.types", "target": "clients.copied"}])["fill"]
    assert answer == {"rows": 4}
    look = "SELECT arrayJoin(tupleToNameValuePairs(tuple(*))), id FROM {} ORDER BY id"
    look = "SELECT toString(tuple(*)) FROM {} ORDER BY id"
    assert admin.execute(look.format("clients.copied")) == admin.execute(look.format("clients.types"))
