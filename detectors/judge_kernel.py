"""The default detector over state rows, one compiled call for a frame; its formulae are in ``detectors.reference``.

All compiled functions stand in this one file: numba's cache on disk notices a change of their own file alone."""

import math
from typing import Any

import numba
import numpy as np

from detectors.judge_layout import HEADS, RECORD, RESIDUALS, SCALES, SHORT
from gridbeacon.frame import F8, I8, U1

HALF_HOUR_MS, HOUR_MS, DAY_MS = 1_800_000.0, 3_600_000.0, 86_400_000.0
FIRST_ERRORS, FIRST_SCORES = 20, 50  # observations before errors are clipped and scored; before there is any novelty
MOST_DAY_VISITS, MOST_WEEK_VISITS, MOST_HOUR_VISITS = 250, 26, 4
SIGMA = 1.48  # the unit of a sum, its 93 % quantile, in standard deviations of a normal one
HOURLY_MIN = 59.0  # from this interval on an observation stands for its hour, wherever in it its time is
FIRST_GAP_MS = 300_000  # what is taken for the interval until there are two observations


@numba.njit(cache=True)
def clipped(x: float, most: float) -> float:
    """Return x, not beyond ± most."""
    return min(max(x, -most), most)


@numba.njit(cache=True)
def limit_of(scale: float, eps: float, c: Any, n: int) -> float:
    """Return the largest error that is learned from, given the mean absolute error."""
    return float(c["clip"] * (scale + eps)) if n >= FIRST_ERRORS else np.inf


@numba.njit(cache=True)
def surprise(s: Any, c: Any, z: F8, record: float, n: int, learn: int, decay: float) -> tuple[float, int]:
    """Return (surprise, statistic) of residuals and of a record; habituate."""
    score, statistic, largest, beyond = 0.0, 0, record, 0.0
    if record > 0.0:
        statistic, beyond = RECORD, record ** c["norm"]
    for head in range(HEADS):
        usual = s["usual"][head]
        power = beyond
        if n >= FIRST_SCORES:
            for j in range(RESIDUALS):
                if z[j] > usual[j]:
                    term = math.log(z[j] / usual[j])
                    power += term ** c["norm"]
                    if term > largest:
                        largest, statistic = term, j + 1
        surprised = power ** (1.0 / c["norm"]) if power > 0.0 else 0.0
        score += surprised / HEADS
        held = n - s["surprised"][head] <= c["refractory"]
        if not held and surprised > c["surprise"]:
            s["surprised"][head] = n
        rise = c["habituation"] * (1.0 + (head - 1) * c["habituation_spread"])
        for j in range(RESIDUALS):
            level = max(usual[j] * decay, c["floor"])
            if z[j] > level:
                if n < FIRST_SCORES:
                    level = z[j]
                elif not held and learn:
                    level = level ** (1.0 - rise) * z[j] ** rise
            usual[j] = level
    return score, statistic


@numba.njit(cache=True)
def alarm_of(s: Any, c: Any, score: float, n: int) -> float:
    """Return the score when it is an alarm, else 0; for a while after one, only what is larger is another."""
    if n - s["alarmed"] <= c["refractory"]:
        if score <= s["alarm"] + c["alarm_growth"]:
            return 0.0
    elif score > c["alarm_from"]:
        s["alarmed"] = n
    else:
        return 0.0
    s["alarm"] = score
    return score


@numba.njit(cache=True)
def learn_residuals(s: Any, c: Any, x: float, off: F8, n: int, hour: int, by_day: float, eps: float) -> None:
    """Learn levels, profiles and mean absolute errors; residuals in the order of ``novelty``."""
    b = hour % 24
    first = 1.0 / (n + 1.0)
    gain = max(c["scale_gain"], first)
    slow, middle = limit_of(s["slow_scale"], eps, c, n), limit_of(s["middle_scale"], eps, c, n)
    week, day = limit_of(s["week_scale"], eps, c, n), limit_of(s["day_scale"], eps, c, n)
    change = limit_of(s["change_scale"], eps, c, n)
    s["slow"] += max(c["slow_gain"], first) * clipped(off[4], slow)
    s["middle"] += max(c["middle_gain"], first) * clipped(off[2], middle)
    base = np.float64(s["day"][b]) if s["day_visits"][b] > 0 else s["slow"]
    visits = min(s["day_visits"][b] + 1, MOST_DAY_VISITS)
    s["day_visits"][b] = visits
    bin_gain = max(1.0 / visits, c["bin_gain"])
    s["day"][b] = np.float32(base + bin_gain * clipped(x - base, day))
    s["change"][b] = np.float32(np.float64(s["change"][b]) + bin_gain * clipped(off[3], change))
    base = np.float64(s["week"][hour]) if s["week_visits"][hour] > 0 else by_day
    visits = min(s["week_visits"][hour] + 1, MOST_WEEK_VISITS)
    s["week_visits"][hour] = visits
    s["week"][hour] = np.float32(base + max(1.0 / visits, c["bin_gain"]) * clipped(x - base, week))
    s["week_scale"] += gain * (min(abs(off[0]), week) - s["week_scale"])
    s["day_scale"] += gain * (min(abs(off[1]), day) - s["day_scale"])
    s["middle_scale"] += gain * (min(abs(off[2]), middle) - s["middle_scale"])
    s["change_scale"] += gain * (min(abs(off[3]), change) - s["change_scale"])
    s["slow_scale"] += gain * (min(abs(off[4]), slow) - s["slow_scale"])
    drift = min(abs(s["drift"]), c["clip"] * (s["drift_scale"] + 0.05))
    s["drift_scale"] += gain * (drift - s["drift_scale"])
    s["highest"], s["lowest"] = max(s["highest"], x), min(s["lowest"], x)


@numba.njit(cache=True)
def novelty(
    s: Any, c: Any, x: float, hour: int, elapsed_ms: float, support: float, learn: int, scratch: F8, decay: float
) -> tuple[float, int]:
    """Return (alarm, statistic) of one observation; learn it."""
    n, b = s["count"], hour % 24
    extent = s["highest"] - s["lowest"]
    eps = 1e-9 + 1e-4 * extent
    by_day = np.float64(s["day"][b]) if s["day_visits"][b] > 0 else s["slow"]
    visits = s["week_visits"][hour]
    by_week = (visits * np.float64(s["week"][hour]) + c["day_weight"] * by_day) / (visits + c["day_weight"])
    off, z, record = scratch[0], scratch[1], 0.0
    z[:] = c["floor"]
    off[0], off[1], off[2], off[4] = x - by_week, x - by_day, x - s["middle"], x - s["slow"]
    off[3] = x - s["value"] - np.float64(s["change"][b])
    if n >= FIRST_ERRORS:
        s["drift"] += c["drift_gain"] * (clipped(off[0] / (s["week_scale"] + eps), c["clip"]) - s["drift"])
        z[0] += abs(off[0]) / (s["week_scale"] + eps)
        z[1] += abs(off[1]) / (s["day_scale"] + eps)
        z[2] += abs(off[2]) / (s["middle_scale"] + eps)
        z[3] += abs(off[3]) / (s["change_scale"] + eps)
        z[4] += abs(s["drift"]) / (s["drift_scale"] + 1e-3)
    if n >= FIRST_SCORES:
        beyond = max(x - s["highest"], s["lowest"] - x, 0.0) / (extent + 1e-12)
        record = c["record_weight"] * math.log(1.0 + beyond / c["record_share"])
    score, statistic = surprise(s, c, z, record, n, learn, decay)
    score *= 1.0 + c["support"] * min(max(support - c["support_from"], 0.0), c["support_span"])
    alarm = alarm_of(s, c, score, n)
    if learn:
        learn_residuals(s, c, x, off, n, hour, by_day, eps)
    days = elapsed_ms / DAY_MS
    return alarm * days / (days + c["maturity_days"]), statistic


@numba.njit(cache=True)
def blend(s: Any, slot: int) -> tuple[float, float]:
    """Return (mean, visits) of one hour of the week, from the hour's and the day's means."""
    day_error, week_error = s["day_error"], s["week_error"]
    kappa = 20.0
    if week_error == 0.0:
        kappa = 4.0
    elif day_error > week_error:
        kappa = week_error * week_error / (day_error * day_error - week_error * week_error)
    kappa = min(max(kappa, 0.1), 20.0)
    hour = slot % 24
    visits, day_visits = float(s["hour_week_visits"][slot]), float(s["hour_day_visits"][hour])
    by_day = np.float64(s["hour_day"][hour]) if day_visits > 0.0 else s["level"]
    mean = (visits * np.float64(s["hour_week"][slot]) + kappa * by_day) / (visits + kappa)
    return mean, visits + 0.3 * day_visits


@numba.njit(cache=True)
def learn_hour(s: Any, c: Any, slot: int) -> None:
    """Learn the mean of the hour that has just ended; notice hours that lean to one side for most of a day."""
    y = s["slot_sum"] / s["slot_count"]
    hour = slot % 24
    expected, _ = blend(s, slot)
    day_visits, week_visits = float(s["hour_day_visits"][hour]), float(s["hour_week_visits"][slot])
    by_day = np.float64(s["hour_day"][hour]) if day_visits > 0.0 else y
    by_week = np.float64(s["hour_week"][slot])
    hours, error = s["hours"], s["hour_error"]
    off = y - expected
    most = 3.0 * error if hours > 24.0 else np.inf
    if hours > 24.0 and error > 0.0:
        s["lean"] += (clipped(off / error, 3.0) - s["lean"]) / 24.0
    lasting = (s["lean"] > c["lean_from"] and off > 0.0) or (s["lean"] < -c["lean_from"] and off < 0.0)
    most = np.inf if lasting else most
    size = min(abs(off), 3.0 * error if hours > 24.0 else np.inf)
    if day_visits > 0.0:
        gain = max(1.0 / (hours + 1.0), 1 / 168.0)
        s["hour_error"] += gain * (size - error)
        s["hours"] = hours + 1.0
        if week_visits > 0.0:
            day_off = min(abs(y - by_day), most)
            week_off = min(abs(y - by_week) * math.sqrt(week_visits / (week_visits + 1.0)), most)
            if s["week_error"] == 0.0:
                s["day_error"], s["week_error"] = day_off, week_off + 1e-12
            else:
                s["day_error"] += (day_off - s["day_error"]) / 168.0
                s["week_error"] += (week_off - s["week_error"]) / 168.0
    day_visits = min(day_visits + 1.0, MOST_DAY_VISITS)
    gain = max(1.0 / day_visits, 0.5 * c["hour_gain"])
    gain = max(gain, 2.0 * c["hour_gain"]) if lasting else gain
    s["hour_day"][hour] = np.float32(by_day + gain * clipped(y - by_day, most))
    s["hour_day_visits"][hour] = int(day_visits)
    if week_visits == 0.0:
        s["hour_week"][slot], s["hour_week_visits"][slot] = np.float32(y), 1
    else:
        week_visits = min(week_visits + 1.0, MOST_HOUR_VISITS)
        gain = max(1.0 / week_visits, c["hour_gain"])
        gain = max(gain, 2.0 * c["hour_gain"]) if lasting else gain
        s["hour_week"][slot] = np.float32(by_week + gain * clipped(y - by_week, most))
        s["hour_week_visits"][slot] = int(week_visits)


@numba.njit(cache=True)
def pace(s: Any, gap_min: float, n: int) -> float:
    """Return how far apart observations usually are, in minutes."""
    dt = s["interval_min"]
    if n <= 2:
        dt = gap_min
    elif gap_min < dt:
        dt += 0.1 * (gap_min - dt)
    else:
        dt += 0.01 * (min(gap_min, 2.0 * dt) - dt)
    s["interval_min"] = max(dt, 1e-3)
    return float(s["interval_min"])


@numba.njit(cache=True)
def spread_of(s: Any, c: Any, x: float, expected: float, variance: float) -> tuple[float, float]:
    """Return (spread around the profile, rate that a count's skew follows from)."""
    moved = abs(x - s["value"])
    if moved > 0.0 and (moved < s["step"] or s["step"] == 0.0):
        s["step"] = moved
    least = min(max(expected, s["level"]), s["step"])
    if least < 0.0 or s["negative"]:
        least = 0.0
    swing = c["profile_share"] * s["swing"]
    spread = math.sqrt(max(variance, least * s["step"]) + swing * swing) + 1e-9 + 1e-6 * abs(s["level"])
    return spread, max(expected, least)


@numba.njit(cache=True)
def add(s: Any, c: Any, k: int, u: float, n: int, dt: float, gap_min: float, most: float) -> float:
    """Add one residual to a sum, which fades over a gap; return the sum."""
    constant = c["short_min"] if k == 0 else c["long_min"]
    m = s["sum"][k]
    if gap_min > 1.5 * dt:
        m *= constant / (constant + gap_min - dt)
    up = down = most
    if n >= 500:
        up, down = max(most, c["reach"] * s["rise_unit"][k]), max(most, c["reach"] * s["fall_unit"][k])
    m += dt / (dt + constant) * (min(max(u, -down), up) - m)
    s["sum"][k] = m
    return float(m)


@numba.njit(cache=True)
def in_units(s: Any, k: int, m: float, floor: float, rate: float, spread: float) -> float:
    """Return the size of a sum in its unit; of counts, without their skew."""
    if m <= 0.0:
        return -m / float(max(math.sqrt(2.0 * s["fall_square"][k]), s["fall_unit"][k]) + floor)
    unit = max(math.sqrt(2.0 * s["rise_square"][k]), s["rise_unit"][k]) + floor
    z = m / unit
    if z > 1.0 and not s["negative"] and rate > 0.0:
        rho = max(SIGMA * rate / (spread * unit), 0.5)
        z = 1.5 * rho * ((1.0 + SIGMA * z / rho) ** (2 / 3.0) - 1.0) / SIGMA
    return float(z)


@numba.njit(cache=True)
def learn_units(s: Any, c: Any, k: int, m: float, n: int, gain: float, floor: float) -> None:
    """Learn how large the sum's rises and falls usually are."""
    square = m * m
    s["rise_square"][k] += gain * ((square if m > 0.0 else 0.0) - s["rise_square"][k]) + 1e-12
    s["fall_square"][k] += gain * ((square if m < 0.0 else 0.0) - s["fall_square"][k]) + 1e-12
    rise, fall = s["rise_unit"][k], s["fall_unit"][k]
    if n < FIRST_ERRORS:
        s["rise_unit"][k], s["fall_unit"][k] = max(rise, m), max(fall, -m)
        return
    rise *= 1.0 + 5.0 * gain * ((1.0 if m > rise else 0.0) - c["tail"])
    fall *= 1.0 + 5.0 * gain * ((1.0 if -m > fall else 0.0) - c["tail"])
    s["rise_unit"][k], s["fall_unit"][k] = max(rise, 0.2 * floor), max(fall, 0.2 * floor)


@numba.njit(cache=True)
def episode(s: Any, c: Any, best: float, fading: float, young: int) -> float:
    """Return the departure when an episode begins or grows, else 0."""
    if young:
        return 0.0
    grown = best > s["height"] * c["growth"]
    if s["open"] == 0 and not (best > c["open_from"] and grown):
        s["height"] *= fading
        return 0.0
    if grown:
        s["open"], s["height"] = 1, best
        return best
    if best < 1.0:
        s["open"] = 0
    return 0.0


@numba.njit(cache=True)
def learn_spread(s: Any, x: float, expected: float, variance: float, high: float, gain: float, n: int) -> None:
    """Learn the level, and the spread around the profile where it is low and where it is high."""
    most = 9.0 * variance if n > FIRST_SCORES else np.inf
    square = min((x - expected) * (x - expected), most)
    low, top = (gain, gain) if n <= 10 else (2.0 * gain * (1.0 - high), 2.0 * gain * high)
    s["low_variance"] += low * (square - s["low_variance"])
    s["high_variance"] += top * (square - s["high_variance"])
    move = x - s["level"]
    s["level"] += gain * (clipped(move, 5.0 * s["swing"]) if n >= FIRST_SCORES else move)
    s["swing"] += gain * (abs(expected - s["level"]) - s["swing"])


@numba.njit(cache=True)
def departure(
    s: Any, c: Any, x: float, civil_ms: float, gap_min: float, young: int, learn: int, said: Any
) -> tuple[float, float, int]:
    """Return (departure that begins or grows, else 0; how far a departure supports a novelty; statistic)."""
    n = s["count"]
    dt = pace(s, gap_min, n)
    hours = (civil_ms - HALF_HOUR_MS) / HOUR_MS if dt < HOURLY_MIN else math.floor(civil_ms / HOUR_MS)
    begin = math.floor(hours)
    along = hours - begin
    mean, visits = blend(s, int(begin) % 168)
    mean1, visits1 = blend(s, (int(begin) + 1) % 168)
    expected = mean + along * (mean1 - mean)
    visits += along * (visits1 - visits)
    high = min(max(0.5 + 0.5 * (expected - s["level"]) / s["swing"], 0.0), 1.0) if s["swing"] > 0.0 else 0.5
    variance = (1.0 - high) * s["low_variance"] + high * s["high_variance"]
    spread, rate = spread_of(s, c, x, expected, variance)
    most = c["departure_clip"] * (math.sqrt(dt / 5.0) if dt > 5.0 else 1.0)
    gain = max(dt / (dt + c["spread_min"]), 1.0 / (n + 1.0))
    trust = math.sqrt(visits / (visits + 1.0))
    best, support, severity, statistic, direction = 0.0, 0.0, 0.0, 0, 0
    for k in range(SCALES):
        m = add(s, c, k, (x - expected) / spread, n, dt, gap_min, most)
        floor = c["unit_floor"] * math.sqrt(dt / (dt + (c["short_min"] if k == 0 else c["long_min"])))
        if n > FIRST_ERRORS:
            z = in_units(s, k, m, floor, rate, spread) * trust
            weighed = z if m > 0.0 else z * c["fall_weight"]
            if weighed > best:
                best, statistic = weighed, SHORT + k
            if z > severity:
                severity, direction = z, 1 if m > 0.0 else -1
            support = max(support, z if m > 0.0 else z * c["fall_support"])
        if learn:
            learn_units(s, c, k, m, n, gain, floor)
    found = episode(s, c, best, c["forget_min"] / (c["forget_min"] + gap_min), young)
    said["expected"], said["spread"], said["severity"] = expected, spread, severity
    said["direction"], said["confidence"], said["young"] = direction, trust, young
    said["shifted"] = abs(s["lean"]) > c["lean_from"]
    if learn:
        learn_spread(s, x, expected, variance, high, gain, n)
    slot = math.floor(civil_ms / HOUR_MS) % 168
    if s["slot"] != slot:
        if s["slot_count"] > 0.0:
            learn_hour(s, c, s["slot"])
        s["slot"], s["slot_sum"], s["slot_count"] = slot, 0.0, 0.0
    if learn:
        s["slot_sum"] += x
        s["slot_count"] += 1.0
    s["negative"] |= x < 0.0
    return found, support, statistic


@numba.njit(cache=True)
def judge_one(
    s: Any, c: Any, x: float, time_ms: int, civil_ms: int, learn: int, scratch: F8, decay: float, said: Any
) -> None:
    """Judge and learn one observation, later than the last one of its series."""
    if s["count"] == 0:
        s["first_ms"] = time_ms
        s["last_ms"] = time_ms - FIRST_GAP_MS
        s["slow"] = s["middle"] = s["highest"] = s["lowest"] = s["value"] = s["level"] = x
    elapsed_ms, gap_min = float(time_ms - s["first_ms"]), max((time_ms - s["last_ms"]) / 60_000.0, 0.0)
    young = 1 if elapsed_ms <= c["young_min"] * 60_000.0 else 0
    found, support, statistic = departure(s, c, x, float(civil_ms), gap_min, young, learn, said)
    hour = int(civil_ms // 3_600_000) % 168
    alarm, why = novelty(s, c, x, hour, elapsed_ms, support, learn, scratch, decay)
    fading = c["forget_min"] / (c["forget_min"] + gap_min)
    s["said_departure"] *= fading
    s["said_novelty"] *= fading
    signal = 0.0
    worth = found / c["departure_unit"]
    if worth > s["said_departure"] * c["growth"] and worth > s["said_novelty"]:
        signal = s["said_departure"] = worth
    worth = alarm / c["novelty_unit"]
    if worth > 1.0:
        worth = 1.0 + c["novelty_span"] * (1.0 - math.exp(1.0 - worth))
    if worth > signal:
        signal, statistic = worth, why
        s["said_novelty"] = max(s["said_novelty"], worth)
    said["alarm"], said["signal"], said["statistic"] = alarm, signal, statistic
    s["last_ms"], s["value"], s["count"] = time_ms, x, s["count"] + 1


@numba.njit(cache=True)
def judge_series(rows: Any, at: I8, x: F8, time_ms: I8, civil_ms: I8, learn: U1, all_constants: Any, said: Any) -> int:
    """Judge in order, each by the row ``at``; fill ``said`` (zeroed); stop before what is not finite or late."""
    c = all_constants[0]
    scratch, decay = np.empty((2, RESIDUALS)), 2.0 ** (-1.0 / c["half_life"])
    for i in range(len(x)):
        if not np.isfinite(x[i]) or (rows[at[i]]["count"] > 0 and time_ms[i] <= rows[at[i]]["last_ms"]):
            return i
        judge_one(rows[at[i]], c, x[i], time_ms[i], civil_ms[i], learn[i], scratch, decay, said[i])
    return len(x)
