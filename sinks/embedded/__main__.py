"""``python -m sinks.embedded --data DIR --port N``: serve until SIGTERM or SIGINT."""

import argparse
import sys
from pathlib import Path

from gridbeacon.errors import GridbeaconError
from sinks.embedded.server import HOST, serve


def main() -> int:
    """Return the exit code: 0 after a signal, 1 after one sentence about what stood in the way."""
    parser = argparse.ArgumentParser(
        prog="python -m sinks.embedded", description=f"ClickHouse's native protocol on {HOST}, in front of chDB."
    )
    parser.add_argument("--data", type=Path, required=True, help="directory of the tables; made when there is none")
    parser.add_argument("--port", type=int, required=True, help=f"port on {HOST}")
    given = parser.parse_args()
    try:
        serve(given.data, given.port)
    except GridbeaconError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
