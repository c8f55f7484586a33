"""The data-health strip: a few figures that say whether what is shown can be trusted, each with a word and a sign."""

import asyncio
from collections import Counter
from dataclasses import dataclass
from typing import Any

from web import questions
from web.lately import Lately
from web.scene import Scene

PATIENCE_SECS = 0.25
"""The first page does not wait longer for database and broker, asked together, than this."""
GOOD, DOUBT, BAD = "good", "doubt", "bad"
SIGNS = {GOOD: "✓", DOUBT: "?", BAD: "!"}


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure: what it is of, the figure in words, whether it is good, in doubt or bad, and more for who asks."""

    name: str
    said: str
    state: str
    more: str = ""

    @property
    def sign(self) -> str:
        """Return the sign of its state."""
        return SIGNS[self.state]


async def strip_of(scene: Scene) -> list[Figure]:
    """Return the strip; what is not known yet is in doubt, never good."""
    house, say = scene.house, scene.speech
    sensors, health = await asyncio.gather(
        house.kept.setdefault("sensors", Lately(lambda: questions.sensors(house), 10.0)).get(PATIENCE_SECS),
        questions.house_health(house, PATIENCE_SECS),
    )
    figures = []
    counts: dict[str, Counter[str]] = {}
    for row in sensors.value.rows if sensors.value else ():
        counts.setdefault(row["kind"], Counter())[row["state"]] += 1
    old = sensors.problem or (sensors.value.problem if sensors.value else "")
    for kind, states in sorted(counts.items()):
        here, total = states["reporting"], sum(states.values())
        state = DOUBT if old else GOOD if here == total else BAD
        figures.append(Figure(say.word(kind), say.t("%d of %d reporting") % (here, total), state, old))
    if not counts:
        figures.append(
            Figure(say.t("Sensors"), say.t("not known yet") if not sensors.value else say.t("none"), DOUBT, old)
        )
    figures += _engine(scene, health)
    doubtful = sum(1 for case in house.view.cases.values() if case.is_open and case.alert.rule == "data_health")
    figures.append(Figure(say.t("Data in doubt"), say.t("%d places") % doubtful, BAD if doubtful else GOOD))
    return figures


def _engine(scene: Scene, health: dict[str, Any]) -> list[Figure]:
    say, data = scene.speech, health["data"]
    problem = health["problems"][0] if health["problems"] else ""
    figures = []
    if "dead_letters_last_hour" in data:
        refused, undelivered = data["dead_letters_last_hour"], data["notices_not_delivered"]
        figures = [
            Figure(say.t("Refused records"), say.t("%d in the last hour") % refused, DOUBT if refused else GOOD),
            Figure(say.t("Notices"), say.t("%d not delivered") % undelivered, BAD if undelivered else GOOD),
        ]
    lags = [role["lag"] for role in health["roles"] if role["lag"] is not None]
    if lags:
        waiting = sum(lags)
        figures.append(Figure(say.t("Waiting records"), f"{waiting:,}", GOOD if waiting < 100_000 else BAD))
    if problem:
        figures.append(Figure(say.t("Database or log"), say.t("away; what is shown is the last known"), BAD, problem))
    return figures
