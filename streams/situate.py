"""The role situate: signals in, transitions of alerts with their notices out. A shell around ``Assessor``."""

import msgspec

from detectors.together import Together
from gridbeacon.assessor import Assessor
from gridbeacon.config import Config
from gridbeacon.frame import Frame
from gridbeacon.model import Asked, SignalBatch, Transition
from gridbeacon.places import is_together, partition_of, source_of
from gridbeacon.vocabulary import Kind
from streams import telemetry, topics
from streams.frames import encode_frame
from streams.partition import Machine, Output
from streams.role import Role

_message = msgspec.json.Decoder(SignalBatch | Asked)


class SituateMachine(Machine):
    """One partition of ``signals``."""

    def __init__(self, config: Config, partition: int) -> None:
        self.assessor = Assessor(config, partition)
        self.together = Together(config, partition)
        self._alerts = config.topics.prefix + topics.ALERTS
        self._situations = config.topics.prefix + topics.SITUATIONS
        self._observations = config.topics.prefix + topics.OBSERVATIONS
        self._producers = config.topics.observations_partitions
        self._count = config.topics.alerts_partitions

    def apply(self, offset: int, value: bytes) -> list[Output]:
        """Assess one message; return the transitions that follow, situations as they stand now, and decisions."""
        transitions = self.transitions(offset, value)
        _tell(transitions)
        outputs = [
            Output(self._alerts, partition_of(t.event.alert_id, self._count), msgspec.json.encode(t))
            for t in transitions
        ]
        for report in self.assessor.take_reports():
            number = partition_of(report.situation.situation_id, self._count)
            outputs.append(Output(self._situations, number, msgspec.json.encode(report)))
        if weighed := self.assessor.take_weighed():
            outputs.append(
                Output(self._situations, partition_of(weighed[0].cell, self._count), msgspec.json.encode(weighed))
            )
        return [*outputs, *self.lessons()]

    def lessons(self) -> list[Output]:
        """Return what detect is to learn of feedback, as records of its log; what is of several sources is learned
        here."""
        outputs = []
        for lesson in self.assessor.lessons():
            source = source_of(lesson.series)
            if is_together(source):
                self.together.learn(lesson)
                continue
            kind, _, name = source.partition("/")
            # as ingest parts them: reports by their cell, all else by the sensor
            key = name.partition("/")[0] if kind == Kind.EVENTS else name
            frame = Frame(lesson.from_ms, lessons=(lesson,))
            outputs.append(Output(self._observations, partition_of(key, self._producers), encode_frame(frame)))
        return outputs

    def transitions(self, offset: int, value: bytes) -> list[Transition]:
        """Assess one message, or do what a person asks for in it; return the transitions that follow, as values."""
        message = _message.decode(value)
        return self.assess(message, offset) if isinstance(message, SignalBatch) else self.assessor.act(message, offset)

    def assess(self, batch: SignalBatch, offset: int) -> list[Transition]:
        """Assess one message, with what sensors say together."""
        if self.assessor.is_next(batch):
            batch = self.together.take(batch, offset)
        return self.assessor.assess(batch, offset)

    def changed(self) -> list[tuple[bytes, bytes | None]]:
        """Return the changes of the assessor and of what sensors say together."""
        return [*self.assessor.changed(), *self.together.changed()]

    def restore(self, key: bytes, value: bytes) -> None:
        """Take back one record of ``changed``."""
        if key.startswith(b"together:"):
            self.together.restore(key, value)
        else:
            self.assessor.restore(key, value)


def _tell(transitions: list[Transition]) -> None:
    for transition in transitions:
        telemetry.counter("alert_transitions_total").labels(event=transition.event.event).inc()
        if transition.notice is not None:
            telemetry.counter("notices_total").inc()
        elif transition.event.held is not None:
            telemetry.counter("held_total").labels(reason=transition.event.held).inc()


def role(config: Config, instance: str | None = None) -> Role:
    """Return the role, ready to run."""
    return Role(
        config,
        name="situate",
        source=config.topics.prefix + topics.SIGNALS,
        state=config.topics.prefix + topics.SITUATE_STATE,
        partitions=config.topics.signals_partitions,
        checkpoint_secs=config.situate.checkpoint_secs,
        machine=lambda number: SituateMachine(config, number),
        instance=instance,
    )


def run(config: Config, instance: str | None = None) -> None:
    """Run the role situate until told to stop."""
    role(config, instance).run()
