"""Kill anything, thirty times, and see that nothing is lost, nothing said twice, and every result the same.

    python -m bench.chaos [--sensors 2000] [--minutes 180] [--secs 180] [--kills 30] [--seed 1]

Afterwards three things must hold: what is stored equals the fold of the pure core over the logs in the broker; it
equals, but for positions, a backtest over the input; every notice was delivered, always with the same body.
"""

import argparse
import logging
import random
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from bench.disturbed import Engine, Receiving, city_lines, receiving, registry_of
from bench.equal import count, differences, in_database, unbalanced
from gridbeacon.cli.results import storer
from gridbeacon.demo.city import City, make_city
from sinks.clickhouse import query
from sinks.migrate import migrate
from streams.backtest import backtest, from_topics

START_MS = 1_700_000_040_000
FROZEN_SECS = 40.0
"""Beyond the session of a static member, which is 30 seconds."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is done to the engine while the city reports for ``secs`` (real time)."""

    secs: float
    kills: int
    broker_restarts: int
    freezes: int
    seed: int


def disturb(engine: Engine, plan: Plan, say: bool = False) -> list[str]:
    """Do everything of the plan at random moments within its time; return what was done."""
    rng = random.Random(plan.seed)
    names = list(engine.members)
    # Every process gets its turn before any gets a second one.
    victims = [name for _ in range(plan.kills // len(names) + 1) for name in rng.sample(names, len(names))]
    deeds = [("kill", name) for name in victims[: plan.kills]]
    deeds += [("broker", "")] * plan.broker_restarts
    rng.shuffle(deeds)
    detectors = [name for name in names if name.startswith("detect")]
    frozen = [
        threading.Thread(target=lambda n=name: engine.freeze(n, FROZEN_SECS))
        for name in (detectors * plan.freezes)[: plan.freezes]
    ]
    pause = plan.secs / (len(deeds) + 1)
    done = []
    if not deeds:
        time.sleep(plan.secs / 4)
    for n, (deed, name) in enumerate(deeds):
        time.sleep(rng.uniform(0.5, 1.5) * pause)
        if frozen and n >= len(deeds) // 4:
            thread = frozen.pop()
            thread.start()
            done.append("freeze")
        if deed == "kill":
            engine.kill(name)
        else:
            engine.restart_broker()
        done.append(f"{deed} {name}".strip())
        if say:
            print(f"  {done[-1]}", flush=True)
    return done


def wrong(engine: Engine, city: City, got: Receiving, records: int, database: str = "gridbeacon") -> list[str]:
    """Return everything that is not as it must be, a sentence each."""
    config = engine.config
    found = []
    for name in ("fold", "backtested"):
        migrate(in_database(config, name))
    with storer(in_database(config, "fold")) as take:
        for finding in from_topics(config):
            take(finding)
    found += [f"(a) stored and fold: {d}" for d in differences(config, database, "fold", lineage=True)]
    with storer(in_database(config, "backtested")) as take:
        now_ms = time.time_ns() // 1_000_000
        for finding in backtest(config, registry_of(city), city_lines(city), now_ms):
            take(finding)
    found += [f"(b) stored and backtest: {d}" for d in differences(config, database, "backtested", lineage=False)]
    if balance := unbalanced(config, records):
        found.append(f"counts: {balance}")
    wanted = {notice for (notice,) in query(config, "SELECT notice_id FROM fold.notices FINAL")}
    if missing := wanted - set(got.bodies):
        found.append(f"(c) {len(missing)} of {len(wanted)} notices were never delivered")
    if strange := set(got.bodies) - wanted:
        found.append(f"(c) {len(strange)} deliveries of notices that nobody decided")
    if double := [notice for notice, bodies in got.bodies.items() if len(bodies) > 1]:
        found.append(f"(c) {len(double)} webhook-ids came with two bodies")
    if got.unverified:
        found.append(f"(c) {got.unverified} requests were not signed rightly")
    return found


class Player(threading.Thread):
    """Writes the city's records to the topics while other things happen; ``records`` says how many once it ends."""

    def __init__(self, engine: Engine, city: City, speed: float) -> None:
        super().__init__(daemon=True)
        self.records = 0
        self.error: Exception | None = None
        self._play = lambda: engine.play(city_lines(city), speed)

    def run(self) -> None:
        """Play; an error is kept for ``finish``."""
        try:
            self.records = self._play()
        except Exception as error:  # noqa: BLE001  raised where it is waited for
            self.error = error

    def finish(self) -> int:
        """Return the number of records when all are written; raise what went wrong instead."""
        self.join()
        if self.error is not None:
            raise self.error
        return self.records


def run(folder: Path, city: City, plan: Plan, *, detect_workers: int, say: bool = False) -> tuple[list[str], str]:
    """Run the engine under the plan; return what is wrong, and a sentence about what was done."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # it tells at length that the broker is away, as planned
    speed = (city.end_ms - city.start_ms) / 1000 / plan.secs
    done: list[str] = []
    with receiving() as got:
        engine = Engine(folder, city, got.url, detect_workers=detect_workers)
        try:
            engine.start()
            player = Player(engine, city, speed)
            player.start()
            done = disturb(engine, plan, say)
            records = player.finish()
            engine.settle(120)
            stored = {table: count(engine.config, table) for table in ("observations", "alerts", "notices")}
        except BaseException:
            print(f"after {', '.join(done) or 'nothing yet'}:\n{engine.said()}\n{engine.last_words()}", file=sys.stderr)
            engine.stop()
            raise
    # The receiver's record is complete once it is closed; nothing more is due.
    try:
        found = wrong(engine, city, got, records)
        said = engine.said()
    finally:
        engine.stop()
    told = (
        f"{records} records, {len(done)} disturbances, {engine.endings} restarts of processes, stored {stored}, "
        f"{got.requests} webhook requests for {len(got.bodies)} notices"
    )
    return found, f"{told}\n{said}" if said else told


def main() -> None:
    """Run it, print what was seen, exit 1 when anything is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sensors", type=int, default=2000)
    parser.add_argument("--minutes", type=int, default=180)
    parser.add_argument("--secs", type=float, default=240.0, help="real time in which the city reports")
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--broker-restarts", type=int, default=2)
    parser.add_argument("--freezes", type=int, default=1)
    parser.add_argument("--detect-workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    city = make_city(sensors=options.sensors, minutes=options.minutes, start_ms=START_MS, seed=options.seed)
    plan = Plan(options.secs, options.kills, options.broker_restarts, options.freezes, options.seed)
    with tempfile.TemporaryDirectory(prefix="gridbeacon-chaos-") as folder:
        found, told = run(Path(folder), city, plan, detect_workers=options.detect_workers, say=True)
    print(told)
    print("\n".join(found) or "everything is as it must be")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
