# ruff: noqa: S101 - assertions are what these checks are made of
"""What every bank of detectors must keep to: one check each, given what makes an empty bank. They raise AssertionError.

``CHECKS`` has them all: the first ones are of the contract (``bank.Bank``), the others of behaviour.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from detectors.bank import Bank
from detectors.civil import CivilHours
from detectors.judge_layout import STATISTICS
from gridbeacon.frame import F8, I8
from gridbeacon.tails import FLOOR

New = Callable[[], Bank]
BEGIN_MS = 1_767_571_200_000
"""2026-01-05, a Monday."""
QUARTER_MS, PER_DAY = 900_000, 96


def stream(days: int, seed: int = 1) -> tuple[I8, F8]:
    """Return quarters of an hour with a daily and a weekly rhythm and noise, around 100."""
    n = days * PER_DAY
    at = np.arange(n)
    rhythm = 100 + 40 * np.sin(2 * np.pi * at / PER_DAY) - 15 * (at // PER_DAY % 7 >= 5)
    return BEGIN_MS + QUARTER_MS * at, rhythm + 6 * np.random.default_rng(seed).normal(size=n)


def said(bank: Bank, time_ms: I8, x: F8, *, series: int = 0, learn: Any = None, civil_ms: Any = None) -> Any:
    """Return what a bank says of one series."""
    n = len(x)
    learns = np.ones(n, np.uint8) if learn is None else learn
    return bank.judge(np.full(n, series), x, time_ms, time_ms if civil_ms is None else civil_ms, learns)


def one(new: New) -> Bank:
    """Return a bank with one series."""
    bank = new()
    bank.add()
    return bank


def packed(bank: Bank, series: int = 0) -> bytes:
    """Return the state of one series."""
    return next(iter(bank.pack(np.array([series]))))


def it_is_deterministic(new: New) -> None:
    """Two banks that see the same say the same."""
    time_ms, x = stream(12)
    assert said(one(new), time_ms, x).tobytes() == said(one(new), time_ms, x).tobytes(), "two runs differ"


def bytes_are_lossless(new: New) -> None:
    """A bank that was saved and restored, over whatever stood there, goes on to the digit."""
    time_ms, x = stream(12)
    whole, half = one(new), len(x) // 2
    said(whole, time_ms[:half], x[:half])
    again = one(new)
    said(again, time_ms[:half], x[:half] * 3)
    again.restore(0, packed(whole))
    assert packed(again) == packed(whole), "a restored state is not what was saved"
    first, second = said(whole, time_ms[half:], x[half:]), said(again, time_ms[half:], x[half:])
    assert first.tobytes() == second.tobytes(), "after a restore it says something else"


def series_do_not_meet(new: New) -> None:
    """What one series is like changes nothing for another, and it does not matter how a log is cut."""
    time_ms, x = stream(8)
    alone = said(one(new), time_ms, x)
    bank, n = new(), len(x)
    assert [bank.add(), bank.add()] == [0, 1], "series are not numbered in order"
    assert len(bank) == 2, "it does not count its series"
    at, learn = np.tile([0, 1], n), np.ones(2 * n, np.uint8)
    times, both = np.repeat(time_ms, 2), np.column_stack([x, 50 * x + 3]).ravel()
    parts = [
        bank.judge(at[i : i + 61], both[i : i + 61], times[i : i + 61], times[i : i + 61], learn[i : i + 61])
        for i in range(0, 2 * n, 61)
    ]
    assert np.concatenate(parts)[::2].tobytes() == alone.tobytes(), "another series, or the cut, changes what is said"


def state_is_bounded(new: New) -> None:
    """A long history takes no more room than a short one."""
    time_ms, x = stream(28)
    bank, early = one(new), 14 * PER_DAY
    said(bank, time_ms[:early], x[:early])
    before = len(packed(bank))
    said(bank, time_ms[early:], x[early:])
    after = len(packed(bank))
    assert after <= max(4096, 1.2 * before), f"the state grows from {before} to {after} bytes"


def what_is_not_to_be_learned_is_not(new: New) -> None:
    """Days that are judged only leave what is expected, and what is unusual, where it was."""
    time_ms, x = stream(21)
    begin, end = 14 * PER_DAY, 18 * PER_DAY
    wild = x.copy()
    wild[begin:end] *= 4
    learn = np.ones(len(x), np.uint8)
    learn[begin:end] = 0
    masked = said(one(new), time_ms, wild, learn=learn)[end:]
    left_out = np.concatenate([np.arange(begin), np.arange(end, len(x))])
    never = said(one(new), time_ms[left_out], x[left_out])[begin:]
    same = np.isclose(masked["expected"], never["expected"], rtol=0.05, atol=1.0)
    assert same.all(), "what was not to be learned changes what is expected"
    same = np.isclose(masked["severity"], never["severity"], rtol=0.25, atol=0.25)[PER_DAY:]
    assert same.mean() > 0.9, f"what was not to be learned changes {1 - same.mean():.0%} of the severities"


def what_is_no_observation_is_refused(new: New) -> None:
    """What is not finite, or not later than before, raises ValueError and changes nothing."""
    time_ms, x = stream(4)
    bank = one(new)
    said(bank, time_ms, x)
    before, next_ms = packed(bank), int(time_ms[-1]) + QUARTER_MS
    for value, at_ms in ((np.nan, next_ms), (np.inf, next_ms), (100.0, int(time_ms[-1])), (100.0, int(time_ms[0]))):
        try:
            said(bank, np.array([at_ms]), np.array([value]))
        except ValueError:
            pass
        else:
            raise AssertionError(f"it takes {value} at {at_ms - next_ms} ms after what is next")
        assert packed(bank) == before, "what it refuses changes its state"


def scores_are_scores(new: New) -> None:
    """Whatever comes, scores are finite and >= 0, confidence 0..1, the direction -1, 0 or 1."""
    time_ms, x = stream(10)
    random = np.random.default_rng(5)
    x[random.integers(0, len(x), 60)] *= 10.0 ** random.integers(-12, 7, 60)
    out = said(one(new), time_ms, x)
    for name in ("alarm", "severity", "signal", "expected", "spread", "confidence"):
        assert np.isfinite(out[name]).all(), f"{name} is not finite"
    for name in ("alarm", "severity", "signal", "spread", "confidence"):
        assert (out[name] >= 0).all(), f"{name} is negative"
    assert (out["confidence"] <= 1).all(), "confidence is above 1"
    assert set(out["direction"].tolist()) <= {-1, 0, 1}, "a direction that is none"
    assert (out["statistic"] < len(STATISTICS)).all(), "a statistic that is none"


def warming_up_is_said(new: New) -> None:
    """At first it says that it is young, or knows nothing of the hour; in the third week neither."""
    time_ms, x = stream(16)
    out = said(one(new), time_ms, x)
    knows = (out["young"] == 0) & (out["confidence"] > 0)
    assert not knows[: PER_DAY // 2].any(), "it claims to know after less than a day"
    assert knows[14 * PER_DAY :].all(), "it never gets warm"


def a_constant_is_no_news(new: New) -> None:
    """A value that never changes is nothing."""
    time_ms, _ = stream(14)
    for value in (0.0, 7.0, 1e9):
        out = said(one(new), time_ms, np.full(len(time_ms), value))
        assert (out["signal"][PER_DAY:] < FLOOR).all(), f"always {value:g} is news"


def a_spike_is_found(new: New) -> None:
    """After three weeks one value of five times the usual is the largest signal of the last week."""
    time_ms, x = stream(24)
    at = 22 * PER_DAY + 30
    x[at : at + 2] = 600.0
    signal = said(one(new), time_ms, x)["signal"][17 * PER_DAY :]
    place = int(signal.argmax()) + 17 * PER_DAY
    assert signal.max() >= FLOOR, f"its signal is {signal.max():.2f}"
    assert at <= place <= at + 2, "something else is larger"


def a_step_is_found(new: New) -> None:
    """What rises far and stays is found within four hours."""
    time_ms, x = stream(24)
    at = 22 * PER_DAY + 30
    x[at:] += 250.0
    out = said(one(new), time_ms, x)
    assert (out["signal"][at : at + 16] >= FLOOR).any(), "a level far above is no finding"
    assert (out["severity"][at : at + 16] > 1).any(), "a level far above has no severity"


def scale_and_offset_do_not_matter(new: New) -> None:
    """A series in other units has the same findings."""
    time_ms, x = stream(24)
    x[22 * PER_DAY : 22 * PER_DAY + 4] = 400.0
    x[0] = -5.0  # so that it is no count of things, whose zero means something
    first, second = said(one(new), time_ms, x), said(one(new), time_ms, 8.0 * x - 256.0)
    late = slice(7 * PER_DAY, None)
    assert np.allclose(first["severity"][late], second["severity"][late], rtol=0.1, atol=0.2), (
        "severity depends on units"
    )


def gaps_are_no_news(new: New) -> None:
    """A day, and two, of which nothing is known raise nothing by themselves, nor do they when data come back."""
    time_ms, x = stream(26)
    day = np.arange(len(x)) // PER_DAY
    keep = (day != 16) & (day != 20) & (day != 21)
    signal = said(one(new), time_ms[keep], x[keep])["signal"]
    found = int((signal[15 * PER_DAY :] >= 1).sum())
    assert found <= 1, f"{found} findings, where days are missing"


def the_clocks_may_change(new: New) -> None:
    """People come by the clock: over both changes of summer time the rhythm raises nothing."""
    hours = CivilHours("Europe/Berlin")
    for begin_ms in (1_773_014_400_000, 1_791_158_400_000):  # 2026-03-09 and 2026-10-05, three weeks before a change
        time_ms = begin_ms + QUARTER_MS * np.arange(24 * PER_DAY)
        civil_ms = hours.since_monday(time_ms)
        hour = civil_ms / 3_600_000 % 24
        noise = 6 * np.random.default_rng(2).normal(size=len(time_ms))
        out = said(one(new), time_ms, 100 + 60 * np.sin(2 * np.pi * hour / 24) + noise, civil_ms=civil_ms)
        changed = out["signal"][19 * PER_DAY :]
        assert (changed >= 1).sum() <= 1, f"{int((changed >= 1).sum())} findings when the clocks change"


def rare_reports_are_no_news(new: New) -> None:
    """Counts that are mostly zero raise little: at most one finding a week."""
    time_ms, _ = stream(28)
    random = np.random.default_rng(9)
    x = random.poisson(0.2, len(time_ms)) * (random.random(len(time_ms)) < 0.5)
    late = said(one(new), time_ms, x.astype(float))["signal"][14 * PER_DAY :]
    assert (late >= 1).sum() <= 2, f"{int((late >= 1).sum())} findings in two weeks"


def an_outage_is_recovered_from(new: New) -> None:
    """Half a day of zeros is over when it is over: two days later little is said, and a spike is found again."""
    time_ms, x = stream(27)
    x[21 * PER_DAY : 21 * PER_DAY + PER_DAY // 2] = 0.0
    at = 25 * PER_DAY + 30
    x[at : at + 2] = 600.0
    signal = said(one(new), time_ms, x)["signal"]
    after = signal[23 * PER_DAY : at]
    assert (after >= 1).sum() <= 1, f"{int((after >= 1).sum())} findings after an outage that is over"
    assert (signal[at : at + 3] >= FLOOR).any(), "after an outage it finds nothing"


def it_learns_anew_when_told_so(new: New) -> None:
    """After ``relearn`` it warms up again; two days later a level that is new is what it expects."""
    time_ms, x = stream(26)
    at = 21 * PER_DAY
    x[at:] *= 2.5
    bank = one(new)
    said(bank, time_ms[: at + 8], x[: at + 8])
    bank.relearn(0)
    out = said(bank, time_ms[at + 8 :], x[at + 8 :])
    assert ((out["young"] != 0) | (out["confidence"] == 0))[:4].all(), "it claims to know what it was told to forget"
    off = np.abs(out["expected"] - x[at + 8 :])[2 * PER_DAY + PER_DAY // 2 :]
    assert off.mean() < 60, f"it expects {off.mean():.0f} too little, days after it was told to learn anew"


CONTRACT: tuple[Callable[[New], None], ...] = (
    it_is_deterministic,
    bytes_are_lossless,
    series_do_not_meet,
    state_is_bounded,
    what_is_not_to_be_learned_is_not,
    what_is_no_observation_is_refused,
    scores_are_scores,
    warming_up_is_said,
    it_learns_anew_when_told_so,
)
BEHAVIOUR: tuple[Callable[[New], None], ...] = (
    a_constant_is_no_news,
    a_spike_is_found,
    a_step_is_found,
    scale_and_offset_do_not_matter,
    gaps_are_no_news,
    the_clocks_may_change,
    rare_reports_are_no_news,
    an_outage_is_recovered_from,
)
CHECKS = CONTRACT + BEHAVIOUR
