"""``CONTRIBUTING.md`` can be followed: the steps to a new detector are executed as they stand there."""

import doctest
import inspect
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import detectors.detectors
from detectors.detectors import DETECTORS
from detectors.observer import Observer
from detectors.profiled import Detector, ProfiledBank
from gridbeacon.config import Config, Detect
from gridbeacon.frame import Frame, Rows, verdicts
from gridbeacon.model import AlertEvent, Sensor, Verdict
from gridbeacon.reasons import Reason, State
from gridbeacon.vocabulary import METRIC_NUMBER, Kind

ROOT = Path(__file__).resolve().parents[2]
DOC = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
NAME = "forgetting_deviation"
WRITE, NAME_IT, CHECK, SEE = re.findall(r"^```python\n(.*?)^```$", DOC, re.MULTILINE | re.DOTALL)
HOUR_MS = 3_600_000
MONDAY_MS = 1_700_438_400_000


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> dict:
    """Steps 1 and 2 done: the class, and the detector known by its name."""
    names = dict(vars(detectors.detectors))
    names["DETECTORS"] = dict(DETECTORS)
    exec(WRITE, names)
    exec(NAME_IT, names)
    monkeypatch.setitem(DETECTORS, NAME, names["DETECTORS"][NAME])
    return names


def test_there_are_six_steps() -> None:
    assert re.findall(r"^\*\*(\d)\. ", DOC, re.MULTILINE) == list("123456")


def test_the_example_in_the_docstring_says_what_happens(steps: dict) -> None:
    detector = steps[learned_class()]
    (example,) = doctest.DocTestFinder(recurse=False).find(
        detector, detector.__name__, module=False, globs={detector.__name__: detector}
    )
    assert example.examples
    assert doctest.DocTestRunner().run(example).failed == 0


def learned_class() -> str:
    return re.findall(r"^class (\w+)", WRITE, re.MULTILINE)[0]


def test_the_class_has_the_methods_of_the_protocol(steps: dict) -> None:
    wanted = {name for name, _ in inspect.getmembers(Detector, inspect.isfunction) if name[0] != "_"}
    assert len(wanted) == 4  # "the four methods"
    assert wanted <= set(vars(steps[learned_class()]))


def test_the_new_detector_keeps_the_contract(steps: dict) -> None:
    exec(CHECK, {})


def forgets_its_state(detector) -> None:
    detector.restore = lambda state: None


def learns_when_asked(detector) -> None:
    before = detector.score
    detector.score = lambda z: (detector.learn(z), before(z))[1]


def says_nan(detector) -> None:
    detector.score = lambda z: float("nan")


@pytest.mark.parametrize("broken", [forgets_its_state, learns_when_asked, says_nan])
def test_the_check_refuses_what_does_not_keep_the_contract(steps: dict, monkeypatch, broken: Callable) -> None:
    def bad():
        detector = steps[learned_class()]()
        broken(detector)
        return detector

    monkeypatch.setitem(DETECTORS, NAME, lambda parameters: ProfiledBank(bad))
    with pytest.raises(AssertionError):
        exec(CHECK, {})


def test_it_finds_new_years_eve_in_real_counts(steps: dict, capsys: pytest.CaptureFixture[str]) -> None:
    namespace: dict = {}
    exec(SEE, namespace)
    opened, found = namespace["opened"], namespace["found"]
    assert capsys.readouterr().out == f"{len(found)} findings, {len(opened)} alerts\n"
    assert any(isinstance(one, Verdict) and one.severity for one in found)
    assert all(isinstance(one, AlertEvent) for one in opened)
    new_years_eve_ms = 1_672_473_600_000  # 2022-12-31T08:00Z, 21:00 in Auckland
    assert any(event.at_ms > new_years_eve_ms for event in opened)


def test_the_observer_judges_by_it(steps: dict) -> None:
    """Three weeks of counts of an hour with an even beat, then one that nobody expects."""
    hours = 21 * 24
    config = Config(clock="event", detect=Detect(detector=NAME))
    observer = Observer(config, 0)
    sensor = Sensor(sensor_id="GATE-1", kind=Kind.CROWD, grid_id="310101001002003", interval_secs=3600.0)
    values = [100.0 + (10.0 if n % 2 else -10.0) for n in range(hours)] + [900.0]
    judged = list(verdicts(observer.observe(Frame(0, counts(values), (sensor,)), 0).judged))
    states = [verdict.state for verdict in judged]
    assert states[0] is State.WARMING_UP
    assert set(states[:-1]) <= {State.WARMING_UP, State.NORMAL}
    assert states[-2] is State.NORMAL
    assert (states[-1], judged[-1].reason) == (State.ANOMALOUS, Reason.DETECTOR)


def counts(values: list[float]) -> Rows:
    """Return people counted hour by hour at one gate."""
    n = len(values)
    return Rows(
        sources=("GATE-1",),
        topics=("crowd.metrics",),
        source=np.zeros(n, np.int32),
        metric=np.full(n, METRIC_NUMBER[Kind.CROWD, "people_count"], np.uint8),
        observed_ms=MONDAY_MS + HOUR_MS * np.arange(n, dtype=np.int64),
        value=np.array(values),
        coverage=np.full(n, np.nan, np.float32),
        confidence=np.full(n, np.nan, np.float32),
        surface=np.zeros(n, np.uint8),
        motion=np.zeros(n, np.uint8),
        topic=np.zeros(n, np.uint8),
        partition=np.zeros(n, np.int32),
        offset=np.arange(n, dtype=np.int64),
        index=np.zeros(n, np.int32),
    )


def test_files_and_folders_that_are_named_exist() -> None:
    named = re.findall(r"`((?:tests|gridbeacon|detectors|docs)/[\w/.]*)`", DOC)
    assert len(named) > 5
    for name in named:
        assert (ROOT / name).exists(), name
    folders = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir() and list(path.glob("test_*.py"))}
    (said,) = re.findall(r"one folder of tests: (.*)", DOC)
    assert set(said.split(", ")) == folders
    for path in re.findall(r"tests/[\w/]+\.py", DOC):
        assert (ROOT / path).is_file(), path
