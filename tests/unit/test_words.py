"""The board's words: every text is translated, and every word of the engine has one for people."""

import re

import pytest

from gridbeacon.lifecycle import Event
from gridbeacon.reasons import (
    ActionKind,
    BudgetReason,
    Certainty,
    ConditionState,
    DeliveryOutcome,
    Disposition,
    HandlingState,
    Level,
    Mode,
    Rejection,
    Role,
    SituationKind,
    Trend,
)
from gridbeacon.vocabulary import METRICS as MEASURED
from web import catalogues
from web.words import METRICS, SAID

_PLACES = re.compile(r"%(?:\(\w+\))?[ds]")
HINT = "run scripts/words, and translate what is empty"


@pytest.mark.parametrize("language", catalogues.LANGUAGES)
def test_every_text_is_translated_and_no_other(language: str) -> None:
    catalog = catalogues.read(language)
    known = {message.id: message.string for message in catalog if message.id}
    assert set(known) == set(catalogues.texts()), HINT
    assert [text for text, translated in known.items() if not translated] == [], HINT
    for text, translated in known.items():
        assert sorted(_PLACES.findall(text)) == sorted(_PLACES.findall(translated)), text
        # A single % is the begin of a place to whoever fills the places in: it would end the page.
        for said in (text, translated):
            assert "%" not in _PLACES.sub("", said).replace("%%", ""), said


def test_templates_name_what_they_put_into_a_text() -> None:
    # Jinja fills in names alone: of "%s" it would make "{}".
    for file in (catalogues.WEB / "templates").glob("*.html"):
        assert re.findall(r"(?<![.\w])_\('[^']*%[sd]", file.read_text(encoding="utf-8")) == [], file.name


@pytest.mark.parametrize("language", catalogues.LANGUAGES)
def test_what_is_read_is_what_was_translated(language: str) -> None:
    compiled = catalogues.file_of(language).with_suffix(".mo").read_bytes()
    assert compiled == catalogues.compiled(catalogues.read(language)), HINT


@pytest.mark.parametrize(
    "words",
    [
        ActionKind, BudgetReason, Certainty, ConditionState, DeliveryOutcome, Disposition, Event, HandlingState, Mode,
        Rejection, Role, SituationKind, Trend,
    ],
)  # fmt: skip
def test_every_word_of_the_engine_has_one_for_people(words) -> None:
    assert {str(word) for word in words} <= set(SAID)


def test_so_do_levels_and_metrics() -> None:
    assert {level.word for level in Level} <= set(SAID)
    assert {metric.name for metric in MEASURED} <= set(METRICS)
