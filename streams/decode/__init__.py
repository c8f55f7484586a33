"""Decode: the bytes of one record -> observations, grid events, ticks, or the reason why not. Total over all input."""

from typing import Any, NamedTuple

from gridbeacon.config import Config
from gridbeacon.model import GridEvent, Observation, Position, Rejected, Sensor, Tick
from gridbeacon.reasons import Rejection
from gridbeacon.registry import Registry
from gridbeacon.vocabulary import Kind
from streams.decode import reports, sensed
from streams.decode.privacy import PrivacyRule, TooDeep
from streams.decode.wire import Refused, is_finite, parse, period, unwrap

KINDS = {"crowd.metrics": Kind.CROWD, "traffic.counts": Kind.TRAFFIC, "grid.events": Kind.EVENTS}
#: Positions that one object of a record may take: object n begins at index n * OBJECT_SLOTS.
OBJECT_SLOTS = 32
EARLIEST_MS = 946_684_800_000
"""2000-01-01: a replay may be of any past, but a device without a battery believes in 1970."""
TICK = "Tick"


class Decoded(NamedTuple):
    """What became of one object of a record; exactly one of the first four says something.

    ``sensor`` is the definition of the source, None when the registry has it; ``ignored`` counts unknown fields.
    """

    observations: tuple[Observation, ...] = ()
    event: GridEvent | None = None
    rejected: Rejected | None = None
    tick: Tick | None = None
    sensor: Sensor | None = None
    ignored: tuple[str, ...] = ()


class Decoder:
    """Decodes records by the configuration and the registry; holds no state of the data."""

    def __init__(self, config: Config, registry: Registry) -> None:
        self.privacy = PrivacyRule(config.ingest.privacy_fields)
        self._config = config
        self._registry = registry
        self._producers = len(KINDS) * config.topics.source_partitions

    def decode(self, topic: str, partition: int, offset: int, raw: bytes | None, now_ms: int) -> list[Decoded]:
        """Return one ``Decoded`` per object of the record at a position (topic without prefix); never raises.

        A record that can't be read at all is one rejected object.
        """
        try:
            objects, finite = self._objects(raw)
        except Refused as refused:
            return [Decoded(rejected=_rejected(refused, 0))]
        return [
            self._object(item, Position(topic, partition, offset, number * OBJECT_SLOTS), now_ms, finite=finite)
            for number, item in enumerate(objects)
        ]

    def times(self, now_ms: int) -> tuple[float, float]:
        """Return the oldest and the latest time (ms) that a record may have; a replay may be of any since 2000."""
        settings = self._config.ingest
        oldest = now_ms - settings.max_age_secs * 1000 if self._config.clock == "arrival" else EARLIEST_MS
        return oldest, now_ms + settings.max_ahead_secs * 1000

    def _check_time(self, time_ms: int, now_ms: int) -> None:
        oldest, latest = self.times(now_ms)
        if time_ms < EARLIEST_MS:
            raise Refused(Rejection.TOO_LATE, "the record is of a time before 2000")
        if time_ms < oldest:
            raise Refused(Rejection.TOO_LATE, "the record is older than ingest.max_age_secs")
        if time_ms > latest:
            raise Refused(Rejection.FROM_THE_FUTURE, "the record is later than ingest.max_ahead_secs from now")

    def _check_event_times(self, event: GridEvent, now_ms: int) -> None:
        # What happened long ago may be reported today; what is to happen tomorrow is no event yet.
        self._check_time(event.reported_ms, now_ms)
        self._check_time(max(event.occurred_ms, event.reported_ms), now_ms)
        if event.occurred_ms < EARLIEST_MS:
            raise Refused(Rejection.TOO_LATE, "occurred_at is before 2000")

    def _objects(self, raw: bytes | None) -> tuple[list[Any], bool]:
        settings = self._config.ingest
        if not raw:
            raise Refused(Rejection.EMPTY, "the record has no body")
        if len(raw) > settings.max_record_bytes:
            raise Refused(Rejection.TOO_LARGE, f"the record has {len(raw)} bytes, {settings.max_record_bytes} at most")
        value, finite = parse(raw)
        if isinstance(value, dict) and _is_notification(value):
            value = value["data"]
        if isinstance(value, dict):
            return [value], finite
        if not isinstance(value, list):
            raise Refused(Rejection.NOT_AN_OBJECT, "the record is neither an object nor an array of objects")
        if not value:
            raise Refused(Rejection.EMPTY, "the record holds no object")
        if len(value) > settings.max_objects:
            raise Refused(Rejection.TOO_LARGE, f"the record has {len(value)} objects, {settings.max_objects} at most")
        return value, finite

    def _object(self, item: Any, position: Position, now_ms: int, *, finite: bool) -> Decoded:
        try:
            return self._take(item, position, now_ms, finite=finite)
        except Refused as refused:
            return Decoded(rejected=_rejected(refused, position.index))
        except TooDeep:
            deep = Refused(Rejection.TOO_DEEP, f"the record nests deeper than {self._config.ingest.max_depth}")
            return Decoded(rejected=_rejected(deep, position.index))

    def _take(self, item: Any, position: Position, now_ms: int, *, finite: bool) -> Decoded:
        if not isinstance(item, dict):
            raise Refused(Rejection.NOT_AN_OBJECT, "an element of the array is not an object")
        if (name := self.privacy.find(item, self._config.ingest.max_depth)) is not None:
            raise Refused(Rejection.PRIVACY, f"field {name[:100]!r} carries identity")
        if not finite and not is_finite(item):
            raise Refused(Rejection.NOT_FINITE, "NaN, Infinity and numbers beyond 1e308 are no values")
        fields = unwrap(item)
        if fields.get("type") == TICK:
            return Decoded(tick=self._tick(fields, position, now_ms))
        kind = KINDS.get(position.topic)
        if kind is None:
            raise Refused(Rejection.WRONG_TOPIC, f"{position.topic} is not a source topic")
        if kind is Kind.EVENTS:
            event = reports.read_report(fields, position, self._config, self._registry)
            self._check_event_times(event, now_ms)
            return Decoded(event=event, ignored=tuple(k for k in fields if k not in reports.KNOWN))
        found = sensed.read_sensed(fields, kind, self._config, self._registry)
        self._check_time(found.observed_ms, now_ms)
        return Decoded(
            observations=tuple(
                Observation(
                    source=found.sensor.sensor_id,
                    metric=metric,
                    observed_ms=found.observed_ms,
                    value=value,
                    position=position._replace(index=position.index + metric),
                    surface=found.surface,
                    motion=found.motion,
                    coverage=found.coverage,
                    count_confidence=found.count_confidence,
                )
                for metric, value in found.values
            ),
            sensor=None if found.registered else found.sensor,
            ignored=tuple(k for k in fields if k not in sensed.KNOWN),
        )

    def _tick(self, fields: dict[str, Any], position: Position, now_ms: int) -> Tick:
        if self._config.clock != "event":
            raise Refused(Rejection.WRONG_TYPE, "tick records belong to a replay (clock: event)")
        text = fields.get("time")
        try:
            time_ms = period(text)[1] if isinstance(text, str) else None
        except (ValueError, OverflowError):
            time_ms = None
        if time_ms is None:
            raise Refused(Rejection.WRONG_TYPE, "time of a tick must be an RFC 3339 string")
        self._check_time(time_ms, now_ms)
        return Tick(f"{position.topic}/{position.partition}", time_ms, self._producers)


def _is_notification(value: dict[str, Any]) -> bool:
    # NGSI-LD names the type; NGSIv2 has none and names the subscription.
    named = value.get("type") == "Notification" or ("type" not in value and "subscriptionId" in value)
    return named and isinstance(value.get("data"), list)


def _rejected(refused: Refused, index: int) -> Rejected:
    return Rejected(reason=refused.reason, detail=refused.detail, index=index)
