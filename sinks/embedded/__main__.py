"""``python -m sinks.embedded --data DIR --port N [--http-port N] [--stand-back]``: serve until SIGTERM or SIGINT.

Users, limits and TLS come in the environment, see ``variable.py``.
"""

import argparse
import os
import sys
from pathlib import Path

import msgspec

from gridbeacon.config import ClickHouse
from gridbeacon.errors import GridbeaconError
from gridbeacon.priority import stand_back
from sinks.embedded.server import serve
from sinks.embedded.variable import VARIABLE


def main() -> int:
    """Return the exit code: 0 after a signal, 1 after one sentence about what stood in the way."""
    parser = argparse.ArgumentParser(
        prog="python -m sinks.embedded", description="ClickHouse's own protocols in front of chDB."
    )
    parser.add_argument("--data", type=Path, required=True, help="directory of the tables; made when there is none")
    parser.add_argument("--port", type=int, required=True, help="port of the native protocol")
    parser.add_argument("--http-port", type=int, default=0, help="port of the HTTP interface; 0 = none")
    parser.add_argument("--stand-back", action="store_true", help="let other processes of the machine go first")
    given = parser.parse_args()
    if given.stand_back:
        stand_back()
    settings = msgspec.json.decode(os.environ.get(VARIABLE, "{}"), type=ClickHouse)
    try:
        serve(given.data, msgspec.structs.replace(settings, port=given.port, http_port=given.http_port))
    except GridbeaconError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
