"""The JDBC driver beyond questions: what desktop SQL tools do before and after a query."""

import pytest

from tests.clients.asked_programs import Jdbc

# Programs in other languages are built by the first test, on a new machine with all that they stand on.
pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]


def test_what_a_tree_of_schemas_tables_and_columns_shows(jdbc: Jdbc) -> None:
    told = jdbc.tell(
        [
            ("schemas", "schemas"),
            ("tables", "tables", "clients"),
            ("columns", "columns", "clients", "observations"),
            ("product", "product"),
        ]
    )
    assert {"clients", "default", "system"} <= {name for (name,) in told["schemas"]["rows"]}
    tables = {tuple(row) for row in told["tables"]["rows"]}
    assert {("clients", "observations", "TABLE", "观测"), ("clients", "latest", "VIEW", "")} <= tables
    assert told["columns"]["rows"] == [
        ["observed_at", "DateTime64(3, 'UTC')", "0", "when", "1"],
        ["grid_id", "LowCardinality(String)", "0", "单元网格", "2"],
        ["value", "Nullable(Float64)", "1", "", "3"],
    ]
    ((name, version, _),) = told["product"]["rows"]
    assert name == "ClickHouse"
    assert int(version.split(".")[0]) >= 25


def test_a_prepared_statement_is_repeated_with_other_values(jdbc: Jdbc) -> None:
    sql = "SELECT ?, toTypeName(?)"
    values = ["it's", "广场", "a\\b\n", "", "?", "{x:String}"]
    told = jdbc.tell([(str(n), "ask", sql, "", value, value) for n, value in enumerate(values)])
    assert [told[str(n)]["rows"] for n in range(len(values))] == [[[value, "String"]] for value in values]


def test_a_cancelled_statement_ends(jdbc: Jdbc) -> None:
    """The driver cancels by ``KILL QUERY`` with the id that it gave."""
    sql = "SELECT sum(sleepEachRow(0.2)) FROM numbers(20) SETTINGS max_block_size = 1"
    told = jdbc.tell([("end", "cancel", sql), ("next", "ask", "SELECT 5", "")])
    assert told["end"].get("code") == 394, told["end"]
    assert told["next"]["rows"] == [["5"]]
