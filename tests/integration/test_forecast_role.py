"""The role forecast among real parts: killed in the middle of a refit and after it, and nothing stored is different.

Four weeks of two streets of Auckland stand in ClickHouse; one more day comes through Kafka, with capacities set.
"""

import asyncio
import itertools
import time
from pathlib import Path

import msgspec
import numpy as np
import pytest
import typer

from bench.disturbed import Database
from bench.engine import RoleProcess, wait_for
from forecasts.fitted import Fitted
from forecasts.forecaster import Settings, fit
from forecasts.requests import FitRequest, decode_answer, is_answer
from gridbeacon.calendar import Calendar
from gridbeacon.cli import app
from gridbeacon.cli.results import storer
from gridbeacon.config import ClickHouse, Config
from gridbeacon.config_forecast import Forecast
from gridbeacon.crossings import Told
from gridbeacon.demo import auckland
from gridbeacon.demo.files import write_files
from gridbeacon.errors import GridbeaconError, UsageError
from gridbeacon.model import Verdict
from gridbeacon.registry import Registry
from gridbeacon.timeline import ticked
from sinks.clickhouse import query
from sinks.migrate import migrate
from streams import admin, topics
from streams.backtest import _read, backtest, from_topics
from streams.embedded.ports import free_pair
from streams.fitting import history_of
from streams.replay import replay
from streams.store import LANES, group_of

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]
NAMES = ("45 Queen Street", "150 K Road")
DAY_MS, HOUR_MS = 86_400_000, 3_600_000
NOW_MS = time.time_ns() // 1_000_000


def streets():
    """Registry and counts of two streets; each has room for the busiest hour but one of the day that is played."""
    lines = [line for line in auckland.lines() if line.key in NAMES]
    begin_ms = lines[0].time_ms - lines[0].time_ms % DAY_MS + 11 * HOUR_MS  # a civil midnight in summer time
    played = [line for line in lines if begin_ms + 28 * DAY_MS <= line.time_ms < begin_ms + 29 * DAY_MS]
    counts = {
        name: sorted(msgspec.json.decode(x.raw)["peopleCount"] for x in played if x.key == name) for name in NAMES
    }
    sensors = {
        sensor.sensor_id: msgspec.structs.replace(sensor, capacity=float(counts[sensor.sensor_id][-2]))
        for sensor in auckland.sensors()
        if sensor.sensor_id in NAMES
    }
    history = [line for line in lines if line.time_ms < begin_ms + 28 * DAY_MS]
    return Registry(sensors, {cell.grid_id: cell for cell in auckland.cells()}), history, played


def lags(config: Config) -> dict[str, int]:
    prefix = config.topics.prefix
    groups = {
        f"{prefix}ingest": topics.SOURCES,
        f"{prefix}detect": (topics.OBSERVATIONS,),
        f"{prefix}situate": (topics.SIGNALS,),
        f"{prefix}forecast": (topics.SCORES,),
        f"{prefix}forecast.fit": (topics.FORECAST_REQUESTS,),
        **{group_of(config, lane): lane.topics for lane in LANES},
    }
    return {g: sum(admin.lag(config, g, [prefix + n for n in names]).values()) for g, names in groups.items()}


def settle(config: Config) -> None:
    calm = 0
    deadline = time.monotonic() + 300
    while calm < 2:
        assert time.monotonic() < deadline, lags(config)
        calm = 0 if any(lags(config).values()) else calm + 1
        time.sleep(0.3)


def records(config: Config, name: str) -> list[bytes]:
    async def read() -> list[bytes]:
        found = []
        for number in range(config.topics.observations_partitions):
            found += [record.value async for record in _read(config, config.topics.prefix + name, number)]
        return found

    return asyncio.run(read())


def test_a_refit_that_is_killed_changes_nothing_and_warnings_come_before_what_they_warn_of(
    city: Config, tmp_path: Path
) -> None:
    registry, history, played = streets()
    forecast = Forecast(refit_at="00:30", history_days=28, audit_series=1, checkpoint_secs=1.0)
    one = msgspec.structs.replace(city.topics, observations_partitions=1, signals_partitions=1, alerts_partitions=1)
    config = msgspec.structs.replace(
        city,
        clock="event",
        timezone=auckland.TIMEZONE,
        topics=one,
        forecast=forecast,
        clickhouse=ClickHouse(port=free_pair()),
        data_dir=str(tmp_path),
    )
    file = write_files(tmp_path, config, registry)
    database = Database(tmp_path, config.clickhouse.port).start()
    roles = {
        role: RoleProcess(role, file, tmp_path / f"{role}.log", instance=f"{role}-0")
        for role in ("ingest", "detect", "situate", "store", "forecast")
    }
    child = tmp_path / "forecast" / "forecast-0" / "job"
    try:
        admin.init(config)
        wait_for(lambda: _migrated(config), 60, "the database")
        with storer(config) as take:
            for found in backtest(config, registry, ticked(history, HOUR_MS), NOW_MS):
                if isinstance(found, Verdict):
                    take(found)
        for role in roles.values():
            role.start()
        # The first hours: a fit is asked for. The worker is killed while it is being made.
        asyncio.run(replay(config, ticked(played[:6], HOUR_MS)))
        wait_for(child.exists, 120, "the refit")
        first = roles["forecast"].process
        assert first is not None
        first.kill()
        first.wait()
        roles["forecast"].start()
        wait_for(lambda: any(map(is_answer, records(config, topics.SCORES))), 120, "the fit")
        settle(config)
        assert not child.parent.exists()  # nothing is left behind
        # The rest of the day, and another kill in its middle.
        middle = len(played) // 2
        asyncio.run(replay(config, ticked(played[6:middle], HOUR_MS)))
        second = roles["forecast"].process
        assert second is not None
        second.kill()
        second.wait()
        roles["forecast"].start()
        asyncio.run(replay(config, ticked(played[middle:], HOUR_MS)))
        settle(config)

        # (a) What is stored is the fold of the pure core over the log.
        told = {}
        for found in from_topics(config):
            if isinstance(found, Told):
                told[found.crossing.crossing_id] = found.crossing
        columns = "crossing_id, version, toString(outcome), reason, lead_secs, toUnixTimestamp64Milli(expected_at)"
        stored = sorted(query(config, f"SELECT {columns} FROM crossings FINAL"))
        assert stored == sorted(
            (
                one.crossing_id,
                one.version,
                str(one.outcome),
                str(one.reason),
                None if one.lead_ms is None else one.lead_ms / 1000,
                one.foreseen.expected_ms,
            )
            for one in told.values()
        )
        # (b) The fit that counts is what an undisturbed one would have been, to the bit.
        answers = [decode_answer(value) for value in records(config, topics.SCORES) if is_answer(value)]
        requests = {
            one.request_id: one
            for value in records(config, topics.FORECAST_REQUESTS)
            if not (one := msgspec.msgpack.decode(value, type=FitRequest)).audit
        }
        fitted = Fitted.from_bytes(answers[0].fitted)
        calm = fit(history_of(config, Calendar(), requests[answers[0].request_id]), Settings.of(forecast))
        assert fitted.to_bytes() == calm.to_bytes()
        # (c) Warnings came before what they warned of, and are stored with their lead times, beside the alert.
        true = query(
            config,
            "SELECT made_at < ended_at, lead_secs, warning_lead_secs FROM crossings FINAL WHERE outcome = 'came_true'",
        )
        assert len(true) >= 2
        assert all(before and secs > 0 for before, secs, _ in true)
        assert query(config, "SELECT count() FROM warned WHERE lead_minutes > 0")[0][0] >= 1
        # (d) The forecasts are there, say their model, and are verified against what came.
        models = dict(query(config, "SELECT model, count() FROM forecasts FINAL GROUP BY model"))
        assert models
        assert set(models) <= {"prophet_batch", "profile"}
        error = query(
            config, "SELECT avg(abs(error)) / avg(value) FROM forecast_verification WHERE lead_minutes <= 1440"
        )
        assert 0 < error[0][0] < 1
        assert query(config, "SELECT count(), max(objective_difference) < 1e-6 FROM forecast_audit FINAL") == [(1, 1)]
        repeats = [key for key, group in itertools.groupby(sorted(one[0] for one in stored)) if len(list(group)) > 1]
        assert repeats == []
    except BaseException:
        for role in roles.values():
            print(role.role, role.log.read_text(errors="replace")[-3000:] if role.log.exists() else "")
        raise
    finally:
        for role in reversed(roles.values()):
            role.stop()
        database.stop()


def _migrated(config: Config) -> bool:
    try:
        migrate(config)
    except GridbeaconError:
        return False
    return True


def test_history_is_what_was_stored_less_what_is_doubted_and_is_explained(city: Config, tmp_path: Path) -> None:
    registry, history, _ = streets()
    config = msgspec.structs.replace(
        city, clock="event", timezone=auckland.TIMEZONE, clickhouse=ClickHouse(port=free_pair())
    )
    database = Database(tmp_path, config.clickhouse.port).start()
    try:
        wait_for(lambda: _migrated(config), 60, "the database")
        verdicts = [v for v in backtest(config, registry, ticked(history, HOUR_MS), NOW_MS) if isinstance(v, Verdict)]
        with storer(config) as take:
            for verdict in verdicts:
                take(verdict)
        end_ms = history[-1].time_ms + HOUR_MS
        name = f"crowd/{NAMES[0]}/people_count"
        request = FitRequest(
            request_id="x",
            partition=0,
            offset=0,
            asked_ms=end_ms,
            end_ms=end_ms,
            names=(name, "crowd/none/people_count"),
            cells=("1", "2"),
        )
        found = history_of(config, Calendar(), request)
        wanted = np.full_like(found.values[0], np.nan)
        doubted = {"late", "duplicate", "stuck", "impossible_jump", "low_coverage", "low_confidence"}
        for verdict in verdicts:
            place = (verdict.observed_ms - found.start_ms) // found.step_ms
            if verdict.series == name and 0 <= place < len(wanted) and verdict.reason not in doubted:
                wanted[place] = verdict.value
        np.testing.assert_allclose(found.values[0], wanted)
        assert np.isnan(found.values[1]).all()
        assert np.isfinite(wanted).sum() > 24 * 20
        picture = tmp_path / "explained.svg"
        words = ["forecast", "explain", "--config", str(write_files(tmp_path, config, registry)), "--out", str(picture)]
        command = typer.main.get_command(app)
        command([*words, name], standalone_mode=False)
        drawn = picture.read_text()
        assert all(f"<!-- {word} -->" in drawn for word in ("trend", "workday", "free day", "week"))
        assert f"<!-- {name}: square roots of the values -->" in drawn
        with pytest.raises(UsageError, match="ClickHouse has nothing of series 'crowd/none/people_count'"):
            command([*words, "crowd/none/people_count"], standalone_mode=False)
        finer = msgspec.structs.replace(config, forecast=Forecast(step_minutes=10))
        again = history_of(finer, Calendar(), request)
        assert np.isfinite(again.values[0]).sum() == np.isfinite(wanted).sum() - 0
    finally:
        database.stop()
