"""The default detector in plain Python: the formulae that ``judge_kernel`` computes, one observation at a time.

x is an observation, t its time, λ what is expected; r ← EW(x; a) stands for r ← r + a·(x − r), clip(x; c) for x kept
within ±c, and every gain a is at least 1/(observations so far + 1), so that a beginning is a plain mean.

**Departure**: how far sums of residuals are from the seasonal profile. Not deaf to what recurs.

- profile: w_j the mean of hour j of the week, d_h that of the hour of the day, n_j visits;
  P_j = (n_j·w_j + κ·d_h) / (n_j + κ) with κ = E_w² / (E_d² − E_w²) in [0.1, 20], E the mean absolute errors of both;
  λ(t) runs in straight lines from hour centre to hour centre, in the city's civil time; an hourly observation stands
  for its hour, wherever in it its time is.
- spread: s² = max(v², q·min(max(λ, level), q)) + (0.2·D)²; v² the EW mean square of x − λ, one for low and one for
  high λ; q the smallest step ever seen (a count's is 1: its variance is at least its mean); D the mean swing of λ.
- sums: m_k ← EW(clip((x − λ)/s; c); dt / (dt + τ_k)) for τ = 22 and 110 minutes; c = 3.2, or 4 units of the sum, where
  that is more: the sums of a correlated series are large.
- unit: the streaming 93 % quantile of m_k, at least its one-sided root mean square; rises and falls apart.
- z_k = m_k / unit. Sums of counts are skewed, to the power 2/3 they are not:
  z ← 1.5·ρ·((1 + 1.48·z/ρ)^(2/3) − 1) / 1.48, ρ = 1.48·λ/(s·unit). All times √(n/(n + 1)), n the visits behind λ.
- episode: begins when the largest z (falls count half) passes 1.3 and 1.2 times the last height, which fades; is said
  again whenever it grows by 1.2; ends below 1.
- learning, once an hour from its mean, clipped at 3 mean absolute errors: one event does not become the profile. When
  most of a day leans to one side, the clip opens and the gain is 0.6: what lasts is the new normal.

**Novelty**: what has not been seen. Deaf to what recurs.

- five residuals over their mean absolute errors: from the hour of the week, the hour of the day, the level of the last
  hours, the usual change at this hour, and the EW mean of the first; z_j = |residual| / scale + 0.05.
- a habituating level M per residual halves in 2,000 observations. When z > M the surprise is ln(z/M), and then
  M ← M^(1−h)·z^h; three heads do so with h = 0.35, 0.5, 0.65. A surprise above 0.3 stops this for 100 observations.
- record: 1.5·ln(1 + overshoot / (0.02·range)).
- score: the 5-norm of surprises and record, mean over the heads; a departure that stands at the same time supports it:
  × (1 + 0.6·clip(z − 0.7; 0..1.5)). For 100 observations after an alarm only what is larger by 0.3 is one.
- alarm: score · days / (days + 2).

**Signal**: the larger of departure / 2.4 and alarm, the latter at most 1.02: a novelty alone never outranks a strong
departure. One finding per episode, as above.

Sources: the habituating residuals follow the method that leads the Numenta Anomaly Benchmark's real-time table when
no detector is told a file's range in advance (``bench/nab.py``); the power 2/3 is Anscombe's (1953) for counts.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

from detectors.judge_layout import CONSTANTS, Statistic
from detectors.reference.departure import Departure
from detectors.reference.novelty import Novelty


class Judgement(NamedTuple):
    """What is said of one observation: scores >= 0, ``expected`` and ``spread`` in its unit, ``direction`` ±1 or 0."""

    alarm: float
    severity: float
    signal: float
    expected: float
    spread: float
    direction: int
    confidence: float
    statistic: Statistic
    shifted: bool


class Reference:
    """One series' detector, for those who read; the engine runs ``judge_kernel``.

    >>> detector = Reference()
    >>> detector.observe(12.0, time_ms=0, civil_ms=0).signal
    0.0
    """

    def __init__(self, c: Mapping[str, float] | None = None) -> None:
        self.c = c or {name: value for name, (value, _) in CONSTANTS.items()}
        self.departure, self.novelty = Departure(self.c), Novelty(self.c)
        self.count = self.first_ms = self.last_ms = 0
        self.last = self.said_departure = self.said_novelty = 0.0

    def observe(self, x: float, *, time_ms: int, civil_ms: int, learn: bool = True) -> Judgement:
        """Return what is said of x, then learn it unless told not to. Times in ms, never falling.

        ``shifted`` says that the profile is moving to a new normal.
        """
        c, n = self.c, self.count
        if n == 0:
            self.first_ms, self.last_ms, self.last = time_ms, time_ms - 300_000, x
        elapsed, gap = float(time_ms - self.first_ms), max((time_ms - self.last_ms) / 60_000, 0.0)
        leans = self.departure.profile.lean
        found, support, severity, expected, spread, direction, trust, statistic = self.departure.observe(
            x, self.last, n, float(civil_ms), gap, young=elapsed <= c["young_min"] * 60_000, learn=learn
        )
        shifted = abs(leans) > c["lean_from"]
        hour = int(civil_ms // 3_600_000) % 168
        alarm, why = self.novelty.observe(x, self.last, n, hour, elapsed, support, learn=learn)
        fading = c["forget_min"] / (c["forget_min"] + gap)
        self.said_departure *= fading
        self.said_novelty *= fading
        signal = 0.0
        worth = found / c["departure_unit"]
        if worth > self.said_departure * c["growth"] and worth > self.said_novelty:
            signal = self.said_departure = worth
        worth = alarm / c["novelty_unit"]
        if worth > 1.0:
            worth = 1.0 + c["novelty_span"] * (1.0 - math.exp(1.0 - worth))
        if worth > signal:
            signal, statistic = worth, why
            self.said_novelty = max(self.said_novelty, worth)
        self.last_ms, self.last, self.count = time_ms, x, n + 1
        return Judgement(alarm, severity, signal, expected, spread, direction, trust, statistic, shifted)
