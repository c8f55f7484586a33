"""Learning from the tables is learning from what had streamed through."""

import itertools

import msgspec

from gridbeacon.calendar import Calendar
from gridbeacon.config import Config
from gridbeacon.demo import auckland, evening
from gridbeacon.model import Verdict
from gridbeacon.timeline import ticked
from sinks import rows
from sinks.clickhouse import ClickHouseSink
from sinks.history import observations
from sinks.migrate import migrate
from streams.backtest import backtest
from streams.train import Trainee, blocks

NOW_MS = 1_700_000_000_000
LINES = 20 * 24 * 10


def test_states_from_the_tables_are_those_of_the_stream(clickhouse: Config) -> None:
    names = msgspec.structs.replace(clickhouse.clickhouse, database="history")
    config = msgspec.structs.replace(clickhouse, clickhouse=names, clock="event", timezone=auckland.TIMEZONE)
    registry = evening.registry()
    lines = list(itertools.islice(auckland.lines(), LINES))
    found = [one for one in backtest(config, registry, ticked(lines, 3_600_000), NOW_MS) if isinstance(one, Verdict)]
    assert len(found) == LINES
    migrate(config)
    sink = ClickHouseSink(config)
    for again in range(2):  # a row may come twice
        assert sink.write("observations", rows.verdicts(found), f"t{again}")
    sink.close()
    streamed, stored = Trainee(config, Calendar()), Trainee(config, Calendar())
    streamed.read(registry, ticked(lines, 3_600_000), NOW_MS)
    doubted = sum(str(v.reason) in ("stuck", "late", "duplicate") for v in found)
    assert stored.learn(registry, blocks(observations(config, None, None), 777)) == LINES - doubted
    for one, other in zip(streamed.observers, stored.observers, strict=True):
        mine, theirs = one.states, other.states
        assert len(mine) == len(theirs) > 0
        for number, (source, metric) in enumerate(mine.series_keys):
            at = theirs.series_of(theirs.numbers_of((mine.sensors[source].sensor_id,)), [metric])[0]
            assert theirs.banks.learned(int(at)) == mine.banks.learned(number)
    some = list(observations(config, found[0].observed_ms, found[0].observed_ms + 1))
    assert {row[0] for row in some} == {found[0].observed_ms}
