"""How fast detect is back after ``kill -9`` with the states of a whole city, and what a series costs in memory.

    python -m bench.restart [--sensors 10000]

Back: from the start of the new process to the first scores that it has written, states restored, program loaded.
Memory: resident memory with all series live, less that with a hundredth of them, after the same number of records.
"""

import argparse
import asyncio
import tempfile
import time
from pathlib import Path

from bench.engine import ends, roles, wait_for
from bench.line import City, broker
from streams.embedded import EmbeddedBroker

FEWER = 100
CHECKPOINT_SECS = 7.0
"""Long enough for a checkpoint of everything."""


def scores(city: City) -> int:
    """Return how many messages of scores there are."""
    return sum(asyncio.run(ends(city.config, "scores")).values())


def memory_mb(node: EmbeddedBroker, home: Path, sensors: int, records: int) -> float:
    """Return the resident memory of detect after so many records, with every series live and saved."""
    city = City(node, home / f"memory{sensors}", sensors)
    with roles([city.process("ingest"), detect := city.process("detect")]):
        city.send(records)
        city.wait_rows("scores", records)
        time.sleep(CHECKPOINT_SECS)
        return detect.measure().memory_mb


def back_secs(node: EmbeddedBroker, home: Path, sensors: int) -> float:
    """Return the seconds from the start of a new detect to its first scores."""
    city = City(node, home / "restart", sensors)
    with roles([city.process("ingest"), detect := city.process("detect")]):
        city.send(5 * sensors)
        city.wait_rows("scores", 5 * sensors)
        time.sleep(CHECKPOINT_SECS)
        if detect.process is not None:
            detect.process.kill()
            detect.process.wait()
        city.send(sensors)
        before = scores(city)
        began = time.monotonic()
        detect.start()
        wait_for(lambda: scores(city) > before, 60, "detect to be back")
        return time.monotonic() - began


def main() -> None:
    """Run the benchmark and print what was seen."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sensors", type=int, default=10_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gridbeacon-bench-") as folder, broker(Path(folder)) as node:
        home = Path(folder)
        print(f"{options.sensors:,} sensors", flush=True)
        print(f"  back after kill -9: {back_secs(node, home, options.sensors):.1f} s", flush=True)
        few, many = options.sensors // FEWER, options.sensors
        small, large = (memory_mb(node, home, sensors, 5 * many) for sensors in (few, many))
        each = (large - small) * 1024 / (many - few)
        print(f"  memory: {small:.0f} MB with {few:,} series, {large:.0f} MB with {many:,}: {each:.1f} KB each")


if __name__ == "__main__":
    main()
