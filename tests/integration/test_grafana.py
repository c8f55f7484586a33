"""Dashboards and annotations reach a Grafana once, nobody's changes are lost, and what goes wrong is one sentence."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from dashboards.build import built
from gridbeacon.config import ClickHouse, Config
from gridbeacon.errors import Transient
from gridbeacon.reasons import Level
from sinks.clickhouse import ClickHouseSink, query
from sinks.grafana import Changed, Grafana
from sinks.migrate import migrate
from tests import commands
from tests.grafana import TOKEN, SmallGrafana
from tests.servers import ROOT, Server, free_port

pytestmark = pytest.mark.integration
OURS = built(Config())


@pytest.fixture
def grafana() -> Iterator[SmallGrafana]:
    small = SmallGrafana()
    yield small
    small.stop()


@pytest.fixture
def token(tmp_path: Path) -> Path:
    (tmp_path / "token").write_text(TOKEN + "\n")
    return tmp_path / "token"


def gridbeacon(*words: str) -> tuple[int, str, str]:
    done = commands.gridbeacon("dashboards", *words, cwd=ROOT)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


def test_pushed_twice_it_is_there_once_and_unchanged(grafana: SmallGrafana, token: Path) -> None:
    command = ("push", "--url", grafana.url, "--token-file", str(token))
    assert gridbeacon(*command) == (0, "".join(f"{uid}: made\n" for uid in OURS), "")
    assert grafana.changes == len(OURS)
    assert gridbeacon(*command) == (0, "".join(f"{uid}: current\n" for uid in OURS), "")
    assert grafana.changes == len(OURS)
    there = {
        uid: {k: v for k, v in made.items() if k not in ("id", "version")} for uid, made in grafana.dashboards.items()
    }
    assert there == {uid: json.loads(text) for uid, text in OURS.items()}


def test_a_newer_version_of_ours_takes_the_place_of_an_older_one(grafana: SmallGrafana) -> None:
    uid, text = next(iter(OURS.items()))
    client = Grafana(grafana.url, TOKEN)
    older = json.dumps(json.loads(text) | {"title": "as it was"})
    assert [client.put(one, "", force=False) for one in (older, text, text)] == ["made", "updated", "current"]
    assert grafana.dashboards[uid]["title"] == json.loads(text)["title"]
    assert grafana.dashboards[uid]["version"] == 2


def test_versions_may_come_in_a_plain_list_as_from_older_ones(grafana: SmallGrafana) -> None:
    grafana.versions_as_object = False
    client, text = Grafana(grafana.url, TOKEN), next(iter(OURS.values()))
    assert [client.put(text, "", force=False) for _ in range(2)] == ["made", "current"]


def test_what_somebody_changed_by_hand_is_left_alone_and_shown(grafana: SmallGrafana, token: Path) -> None:
    client = Grafana(grafana.url, TOKEN)
    uid, text = next(iter(OURS.items()))
    client.put(text, "", force=False)
    grafana.save(grafana.dashboards[uid] | {"description": "as we like it"}, "made it nicer")
    with pytest.raises(Changed, match=r"changed by hand \(its last change says 'made it nicer'") as caught:
        client.put(text, "", force=False)
    assert '\n- "description": "as we like it",\n' in str(caught.value)
    code, out, err = gridbeacon("push", "--url", grafana.url, "--token-file", str(token))
    assert (code, out.count("made"), err.count("changed by hand")) == (2, len(OURS) - 1, 1)
    assert grafana.dashboards[uid]["description"] == "as we like it"
    assert client.put(text, "", force=True) == "updated"
    assert client.put(text, "", force=False) == "current"


def test_who_saves_at_the_same_moment_is_not_overwritten(
    grafana: SmallGrafana, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = Grafana(grafana.url, TOKEN)
    uid, text = next(iter(OURS.items()))
    client.put(json.dumps(json.loads(text) | {"title": "older"}), "", force=False)
    last = client._last_message

    def meanwhile(uid: str) -> str:
        found = last(uid)
        grafana.save(grafana.dashboards[uid] | {"title": "theirs"}, "theirs")
        return found

    monkeypatch.setattr(client, "_last_message", meanwhile)
    with pytest.raises(Transient, match="saved the same dashboard just now"):
        client.put(text, "", force=False)
    assert grafana.dashboards[uid]["title"] == "theirs"


def test_a_grafana_that_is_away_or_refuses_is_one_sentence(grafana: SmallGrafana, token: Path, tmp_path: Path) -> None:
    def said(url: str, file: Path) -> tuple[int, str]:
        code, out, err = gridbeacon("push", "--url", url, "--token-file", str(file))
        assert (out, err.count("\n")) == ("", 1)
        return code, err

    (tmp_path / "wrong").write_text("another")
    away = f"http://127.0.0.1:{free_port()}"
    assert said(away, token) == (1, f"gridbeacon: Grafana at {away} can't be reached; check --url, or start it\n")
    code, text = said(grafana.url, tmp_path / "wrong")
    assert code == 3
    assert "refuses the token (401)" in text
    assert said("grafana.example.org", token)[0] == 2
    assert said(grafana.url, tmp_path / "none")[0] == 3


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Config]:
    server = Server(tmp_path_factory.mktemp("annotations") / "data", free_port()).until_ready()
    config = Config(clickhouse=ClickHouse(port=server.port))
    migrate(config)
    yield config
    server.end()


def alert(config: Config, number: int, version: int, level: Level, minutes: int | None, mode: str = "live") -> None:
    now = query(config, "SELECT toUnixTimestamp64Milli(now64(3))")[0][0]
    began = now // 3_600_000 * 3_600_000 - number * 60_000
    row = {"alert_id": f"310101-{number}", "version": version, "level": int(level), "highest_level": int(level)}
    row |= {"opened_at": began, "changed_at": began, "headline": f"Square {number}", "mode": mode}
    row |= {"cleared_at": None if minutes is None else began + minutes * 60_000}
    sink = ClickHouseSink(config)
    sink.write("alerts", {name: [value] for name, value in row.items()}, f"{number}/{version}")
    sink.close()


def test_alerts_are_marked_as_regions_once_and_grow_until_they_are_over(stored: Config, grafana: SmallGrafana) -> None:
    """Marked again, after a crash or by two at once, the annotations are a function of the alerts alone."""
    query(stored, "TRUNCATE TABLE alerts")
    client = Grafana(grafana.url, TOKEN)
    alert(stored, 1, 1, Level.ORANGE, None)
    alert(stored, 2, 1, Level.RED, 15)
    alert(stored, 3, 1, Level.BLUE, 15)  # below what is marked
    alert(stored, 4, 1, Level.RED, 15, mode="exercise")  # drills never leave the house
    assert client.mark(stored, 7, Level.YELLOW) == {"made": 2, "updated": 0, "removed": 0, "current": 0}
    assert client.mark(stored, 7, Level.YELLOW) == {"made": 0, "updated": 0, "removed": 0, "current": 2}
    regions = {one["text"]: one["timeEnd"] - one["time"] for one in grafana.annotations.values()}
    assert regions == {"Square 1": 0, "Square 2": 15 * 60_000}

    alert(stored, 1, 2, Level.RED, 30)
    copy = next(iter(grafana.annotations.values()))
    grafana.annotations[99] = copy | {"id": 99}
    grafana.annotations[100] = {"id": 100, "tags": ["theirs"], "text": "not ours", "time": 0, "timeEnd": 0}
    done = client.mark(stored, 7, Level.YELLOW)
    assert (done["made"], done["removed"]) == (0, 1)
    first = next(one for one in grafana.annotations.values() if one["text"] == "Square 1")
    assert first["timeEnd"] - first["time"] == 30 * 60_000
    assert sorted(first["tags"]) == ["alert:310101-1", "gridbeacon", "red"]
    assert grafana.annotations[100]["text"] == "not ours"
    assert client.mark(stored, 7, Level.YELLOW) == {"made": 0, "updated": 0, "removed": 0, "current": 2}
