"""Every question of the SQL cookbook gives the answer that the page shows, on the fixture city, to an analyst."""

from collections.abc import Iterator

import pytest
from clickhouse_driver import Client

from gridbeacon.cli.fixture import load
from gridbeacon.config import ClickHouse, Config
from gridbeacon.demo.fixture.plan import Size
from tests.cookbook import questions, shown
from tests.servers import Server, free_port

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def analyst(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    server = Server(tmp_path_factory.mktemp("cookbook") / "data", free_port()).until_ready()
    try:
        load(Size(), Config(clickhouse=ClickHouse(port=server.port)), lambda _: None)
        with server.client(user="analyst", database="gridbeacon") as client:
            yield client
    finally:
        server.end()


def test_there_are_as_many_as_the_page_promises() -> None:
    assert len(questions()) >= 25


@pytest.mark.parametrize("question", questions(), ids=lambda question: question.title.split(".")[0])
def test_the_answer_is_the_one_on_the_page(analyst: Client, question) -> None:
    """When an answer has changed for a good reason, run ``scripts/cookbook``."""
    rows, columns = analyst.execute(question.sql, with_column_types=True)
    assert rows, "an answer without rows teaches nothing"
    assert shown([name for name, _ in columns], rows) == question.answer
