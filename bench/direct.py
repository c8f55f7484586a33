"""chDB itself, without the endpoint: what ``bench.clickhouse`` compares with. Reads statements as JSON from stdin."""

import json
import os
import sys
import time
from typing import Any


def run(data: str, work: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Run each piece of work (``sql``, ``runs``, ``most_secs``, perhaps ``file`` to insert) and return its times."""
    os.environ["TZ"] = "UTC"
    from chdb.state.sqlitelike import Connection

    connection = Connection(data)
    done = []
    for piece in work:
        connection.query(f"USE {piece.get('database', 'default')}")
        secs: list[float] = []
        try:
            while len(secs) < piece["runs"] and sum(secs) < piece["most_secs"]:
                begin = time.perf_counter()
                if "INTO OUTFILE" not in piece["sql"] and piece["sql"].lstrip().startswith(("SELECT", "WITH")):
                    stream = connection.send_query(piece["sql"], "Native")
                    while (chunk := stream.fetch()) is not None:
                        chunk.bytes()
                    stream.close()
                else:
                    connection.query(piece["sql"], "Native")
                secs.append(time.perf_counter() - begin)
            done.append({"secs": secs})
        except Exception as error:  # noqa: BLE001 - told, with the statement, by whoever asked
            done.append({"secs": secs, "error": str(error)[:300]})
    connection.close()
    return done


if __name__ == "__main__":
    json.dump(run(sys.argv[1], json.load(sys.stdin)), sys.stdout)
