"""river's detectors by name: parameters, and a state that is lossless without pickle."""

import random
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from river import anomaly

from detectors.detectors import new_bank
from detectors.river_detector import NAMES, PREFIX, RiverDetector, river_detector
from detectors.river_state import from_bytes, to_bytes
from gridbeacon.errors import ConfigError

SMALL: dict[str, dict[str, Any]] = {"HalfSpaceTrees": {"n_trees": 3, "height": 4, "window_size": 20}}


def test_every_detector_of_river_is_known_or_needs_another_model() -> None:
    found = {name for name in dir(anomaly) if name[0].isupper()}
    assert found == {*NAMES, "PredictiveAnomalyDetection", "QuantileFilter", "ThresholdFilter"}


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=10, deadline=None)
@given(values=st.lists(st.floats(-20, 20), min_size=4, max_size=120), cut=st.integers(1, 119))
def test_a_state_goes_on_to_the_digit(name: str, values: list[float], cut: int) -> None:
    new = river_detector(PREFIX + name, SMALL.get(name, {}))
    whole, parted = new(), new()
    for n, z in enumerate(values):
        if n == cut:
            again = new()
            again.restore(parted.state())
            assert again.state() == parted.state()
            parted = again
        assert parted.score(z) == whole.score(z)
        whole.learn(z)
        parted.learn(z)


@pytest.mark.parametrize(
    ("name", "parameters", "words"),
    [
        (
            "river.anomaly.Magic",
            {},
            r"Magic' is no detector of river that works alone; choose of: river",
        ),
        ("river.anomaly.QuantileFilter", {}, "works alone"),
        ("river.linear_model.LinearRegression", {}, "works alone"),
        (
            "river.anomaly.HalfSpaceTrees",
            {"trees": 3},
            r"parameters.trees: .* has no such parameter; it takes n_t",
        ),
        ("river.anomaly.HalfSpaceTrees", {"n_trees": "ten"}, "'ten' is not a whole number"),
        ("river.anomaly.HalfSpaceTrees", {"n_trees": 2.5}, "2.5 is not a whole number"),
        ("river.anomaly.OneClassSVM", {"nu": "x"}, "'x' is not a number"),
        ("novelty_and_departure", {"clipp": 1.0}, r"detect.parameters.clipp: it takes slow_gain"),
        ("novelty_and_departure", {"clip": "3"}, "'3' is not a number"),
        ("magic", {}, "detect.detector 'magic' is unknown; choose of: novelty_and_departure"),
    ],
)
def test_a_mistake_is_one_sentence_with_the_fix(name: str, parameters: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        new_bank(name, parameters)


def test_seeds_are_fixed() -> None:
    def scores() -> list[float]:
        detector = river_detector(PREFIX + "HalfSpaceTrees", SMALL["HalfSpaceTrees"])()
        found = []
        for z in np.random.default_rng(1).normal(size=100).tolist():
            found.append(detector.score(z))
            detector.learn(z)
        return found

    assert scores() == scores()
    assert max(scores()) > 0


def test_only_what_belongs_to_a_detector_is_made_anew() -> None:
    shared = [1, 2.5, "x", None, 2**80, (1, (2,))]
    thing: dict[Any, Any] = {"a": shared, "b": shared, "self": None, 3: {1, 2}}
    thing["self"] = thing
    back = from_bytes(to_bytes(thing))
    assert back["a"] == shared
    assert back["a"] is back["b"]
    assert back["self"] is back
    with pytest.raises(ConfigError, match="can't be part of a detector's state"):
        to_bytes(RiverDetector(anomaly.GaussianScorer))
    with pytest.raises(ConfigError, match=r"no name of its own|can't be part"):
        to_bytes(lambda: 0)
    with pytest.raises(ValueError, match="no state of a detector"):
        from_bytes(b"garbage")
    assert from_bytes(to_bytes(random.Random(3))).random() == random.Random(3).random()


def test_a_state_that_names_something_else_is_refused() -> None:
    import zlib

    evil = [["g", "os", "system"], ["o", ["r", 0], [["v", "true"]], ["v", None], [], []], ["root", ["r", 1]]]
    with pytest.raises(ConfigError, match=r"os.system can't be part"):
        from_bytes(zlib.compress(msgspec.msgpack.encode(evil)))
