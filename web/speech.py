"""How things are said to one viewer: words in the language, times in the city's zone, ages, findings as sentences."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from babel.support import NullTranslations

from gridbeacon.civil import utc
from gridbeacon.model import Alert, Evidence
from web.sentences import told
from web.words import METRICS, SAID

MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000


@dataclass(frozen=True, slots=True)
class Speech:
    """One language and one zone; ``now_ms`` is the time that ages count to."""

    language: str
    words: NullTranslations
    zone: ZoneInfo
    now_ms: int

    def t(self, text: str) -> str:
        """Return a text in the language."""
        return str(self.words.gettext(text)) if text else ""

    def word(self, word: object) -> str:
        """Return a word of the engine as people say it; one that has no other form as it is."""
        text = str(word)
        return self.t(SAID[text]) if text in SAID else text.replace("_", " ")

    def told(self, text: str) -> tuple[str, str]:
        """Return a sentence of the engine in the language, and the language that it is in: English when not known."""
        found = None if self.language == "en" else told(text, self.t, "、")
        return (text, "en") if found is None else (found, self.language)

    def answer(self, note: str) -> list[tuple[str, str]]:
        """Return the sentences of a note by the engine, each as ``told``; what a person wrote before them as it is."""
        return [self.told(sentence) for sentence in note.split("; ")]

    def whole(self, text: str) -> tuple[str, str]:
        """Return a sentence as one that stands alone, and the language that it is in."""
        words, language = self.told(text)
        return words[:1].upper() + words[1:] + ("。" if language == "zh" else "."), language

    def time(self, time_ms: int, *, seconds: bool = False) -> str:
        """Return a civil time, with its day when that is another than today."""
        there = utc(time_ms).astimezone(self.zone)
        clock = there.strftime("%H:%M:%S" if seconds else "%H:%M")
        return clock if there.date() == utc(self.now_ms).astimezone(self.zone).date() else f"{self._day(there)} {clock}"

    def moment(self, when: str | datetime) -> str:
        """Return the civil time, with seconds, of a time as the API or the database says it."""
        there = datetime.fromisoformat(when) if isinstance(when, str) else when
        aware = there if there.tzinfo else there.replace(tzinfo=UTC)
        return self.time(int(aware.timestamp() * 1000), seconds=True)

    def span(self, begin_ms: int, end_ms: int) -> str:
        """Return from when to when, with the day; a day ends at 24:00."""
        begin, end = (utc(one).astimezone(self.zone) for one in (begin_ms, end_ms))
        last = utc(end_ms - 1).astimezone(self.zone)
        if last.date() == begin.date() != end.date():
            return f"{self._day(begin)} {begin:%H:%M} – 24:00"
        if begin.date() == end.date():
            return f"{self._day(begin)} {begin:%H:%M} – {end:%H:%M}"
        return f"{self._day(begin)} {begin:%H:%M} – {self._day(end)} {end:%H:%M}"

    def clock(self, time_ms: int) -> str:
        """Return a civil time without its day."""
        return utc(time_ms).astimezone(self.zone).strftime("%H:%M")

    def offset_ms(self, time_ms: int) -> int:
        """Return how far the civil time is ahead of UTC at a time."""
        off = utc(time_ms).astimezone(self.zone).utcoffset()
        return int(off.total_seconds() * 1000) if off is not None else 0

    def _day(self, there: datetime) -> str:
        if self.language == "zh":
            return f"{there.month}月{there.day}日"
        return there.strftime("%d %b").lstrip("0")

    def date(self, time_ms: int) -> str:
        """Return a civil day, as an input of a form takes it."""
        return utc(time_ms).astimezone(self.zone).strftime("%Y-%m-%d")

    def iso(self, time_ms: int) -> str:
        """Return a time for machines."""
        return utc(time_ms).isoformat().replace("+00:00", "Z")

    def zone_name(self) -> str:
        """Return the zone and what it is off UTC by now."""
        offset = utc(self.now_ms).astimezone(self.zone).strftime("%z")
        return f"{self.zone.key} (UTC{offset[:3]}:{offset[3:]})"

    def age(self, since_ms: int) -> str:
        """Return how long ago a time is, in one unit that a glance takes in."""
        return self.length(self.now_ms - since_ms)

    def length(self, length_ms: float) -> str:
        """Return a length of time, in one unit."""
        length_ms = max(0, int(length_ms))
        if length_ms < MINUTE_MS:
            return self.t("%d s") % (length_ms // 1000)
        if length_ms < 2 * HOUR_MS:
            return self.t("%d min") % (length_ms // MINUTE_MS)
        if length_ms < 2 * DAY_MS:
            return self.t("%d h") % (length_ms // HOUR_MS)
        return self.t("%d days") % (length_ms // DAY_MS)

    def finding(self, one: Evidence) -> str:
        """Return one finding in words: which source, what it measured, against what."""
        metric = one.series.rpartition("/")[2]
        source = one.series.partition("/")[2].rpartition("/")[0]
        name, unit = METRICS.get(metric, (metric, ""))
        if one.text and (one.layer not in ("limit", "learned") or metric not in METRICS):
            return self.told(one.text)[0]
        said = f"{source} {self.t(name)}"
        if one.value is not None:
            said += f" {number(one.value)}"
            said += f" {self.t(unit)}" if unit else ""
        if one.threshold is not None and one.layer == "limit":
            said += " " + self.t("(limit %s)") % number(one.threshold)
        elif one.expected is not None:
            said += " " + self.t("(usual: %s)") % number(one.expected)
        return f"{said}{'：' if self.language == 'zh' else ': '}{self.word(one.reason)}"

    def sentence(self, alert: Alert) -> tuple[str, str]:
        """Return what an alert says, and the language that it is in."""
        if self.language == "en" or not alert.evidence:
            return alert.headline, "en"
        worst = sorted(alert.evidence, key=lambda one: -int(one.level))[:2]
        return self.join(self.finding(one) for one in worst), self.language

    def join(self, parts: Iterable[str]) -> str:
        """Return parts of a sentence as one."""
        return ("；" if self.language == "zh" else "; ").join(parts)


def number(value: float) -> str:
    """Return a number as a person reads it.

    >>> number(4.4), number(1650.0), number(0.25), number(12345.6)
    ('4.4', '1650', '0.25', '12346')
    """
    if abs(value) >= 100 or float(value).is_integer():
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 1 else f"{value:.2f}"
