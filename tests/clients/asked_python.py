"""Clients in Python, ready to be asked: clickhouse-driver in its different manners, and clickhouse-connect."""

import collections
import re
from typing import Any

import clickhouse_connect.driver
import numpy as np
from clickhouse_connect.driver.exceptions import ClickHouseError
from clickhouse_driver import Client
from clickhouse_driver.errors import ServerException

from tests.clients.asking import Answer, Request, plain


class Driver:
    """clickhouse-driver; ``how`` is ``execute`` or ``execute_iter``."""

    def __init__(self, client: Client, how: str = "execute", *, use_numpy: bool = False) -> None:
        self._client, self._how, self._numpy = client, how, use_numpy

    def answer(self, requests: list[Request]) -> dict[str, Answer]:
        return {request["name"]: self._respond(request) for request in requests}

    def _respond(self, request: Request) -> Answer:
        try:
            if "digest" in request:
                return self._digest(request["digest"])
            if "source" in request:
                return self._fill(request["source"], request["target"])
            return self._ask(request)
        except ServerException as error:
            return {"code": error.code, "text": error.message}

    def _ask(self, request: Request) -> Answer:
        options = {"params": request.get("params", {}), "settings": request.get("settings"), "with_column_types": True}
        if self._how == "execute_iter":
            found = self._client.execute_iter(request["sql"], **options)
            kinds, rows = next(found), list(found)
        else:
            # numpy's rows can't hold arrays of unequal length, its columns can.
            rows, kinds = self._client.execute(request["sql"], **options, columnar=self._numpy)
            rows = zip(*rows, strict=True) if self._numpy else rows
        return {"types": [kind for _, kind in kinds], "rows": [[plain(value) for value in row] for row in rows]}

    def _digest(self, sql: str) -> Answer:
        if self._numpy:
            numbers, words, _ = self._client.execute(sql, columnar=True)
            counted = collections.Counter(words)
            return {"rows": len(numbers), "sum": int(np.sum(numbers)), "words": dict(counted)}
        total = rows = 0
        counted = collections.Counter()
        found = self._client.execute_iter(sql) if self._how == "execute_iter" else self._client.execute(sql)
        for number, word, _ in found:
            rows, total = rows + 1, total + number
            counted[word] += 1
        return {"rows": rows, "sum": total, "words": dict(counted)}

    def _fill(self, source: str, target: str) -> Answer:
        columnar = self._how == "execute_iter" or self._numpy
        data: Any = self._client.execute(f"SELECT * FROM {source}", columnar=columnar)
        if self._numpy:  # it gives lists for what numpy has no type for, and takes arrays alone
            data = [_array(column) for column in data]
        return {"rows": self._client.execute(f"INSERT INTO {target} VALUES", data, columnar=columnar)}


def _array(column: Any) -> Any:
    return column if isinstance(column, np.ndarray) else np.fromiter(column, dtype=object, count=len(column))


def name_of(text: str) -> str:
    """Return the name of an exception as its text has it, in brackets at the end."""
    found = re.findall(r"\(([A-Z][A-Z_]+)\)", text)
    return found[-1] if found else ""


class Connect:
    """clickhouse-connect, over HTTP."""

    def __init__(self, client: clickhouse_connect.driver.Client) -> None:
        self._client = client

    def answer(self, requests: list[Request]) -> dict[str, Answer]:
        return {request["name"]: self._respond(request) for request in requests}

    def _respond(self, request: Request) -> Answer:
        try:
            if "digest" in request:
                return self._digest(request["digest"])
            if "source" in request:
                found = self._client.query(f"SELECT * FROM {request['source']}")
                done = self._client.insert(request["target"], found.result_rows, found.column_names)
                return {"rows": done.written_rows}
            return self._ask(request)
        except ClickHouseError as error:
            told = re.search(r"Code: (\d+)", str(error))
            return {"code": int(told[1]) if told else -1, "text": str(error)}

    def _ask(self, request: Request) -> Answer:
        found = self._client.query(request["sql"], parameters=request.get("params"), settings=request.get("settings"))
        kinds = [kind.name for kind in found.column_types]
        rows = [[_of_tuple(kind, value) for kind, value in zip(kinds, row, strict=True)] for row in found.result_rows]
        # This client writes the types anew, and puts the names of a tuple's elements in quotes.
        return {"types": [kind.replace("`", "") for kind in kinds], "rows": rows}

    def _digest(self, sql: str) -> Answer:
        total = rows = 0
        counted: collections.Counter[str] = collections.Counter()
        with self._client.query_column_block_stream(sql) as blocks:
            for numbers, words, _ in blocks:
                rows, total = rows + len(numbers), total + sum(numbers)
                counted.update(words)
        return {"rows": rows, "sum": total, "words": dict(counted)}


def _of_tuple(kind: str, value: Any) -> str:
    return plain(list(value.values()) if kind.startswith("Tuple(") and isinstance(value, dict) else value)
