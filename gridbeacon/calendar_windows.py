"""What a window of the calendar may say, whichever file it stands in, and which windows contradict each other."""

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import chain

from gridbeacon.calendar import Occurrence, Scope, Window
from gridbeacon.calendar_series import Series
from gridbeacon.errors import ConfigError
from gridbeacon.reasons import CalendarMode
from gridbeacon.vocabulary import METRICS, Kind

MAX_NAME_CHARS = 200
MAX_FACTOR = 1000
"""No announced crowd is larger than a thousand usual ones; a larger number is a slip of the keyboard."""
_CONTRADICTIONS_MS = 5 * 366 * 86_400_000
"""Windows that recur are compared over five years from where the last of them begins: all that a year can do."""
_DIGITS = re.compile(r"\\d\{(\d+)\}")
_NUMBERS_OF = {
    CalendarMode.MUTE: (),
    CalendarMode.RAISE_THRESHOLD: ("factor",),
    CalendarMode.EXPECTED_LOAD: ("expected", "up_to"),
    CalendarMode.TRAIN_MASK: (),
}


class FieldError(ConfigError):
    """One field of a window is wrong; its text is without a place."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(text)
        self.name = name


@dataclass(frozen=True, slots=True)
class Given:
    """What a file says of a window, unchecked; ``numbers`` are those of factor, expected and up_to that it names."""

    name: str
    mode: CalendarMode
    cells: tuple[str, ...] = ()
    venue: str = ""
    kind: str = ""
    metric: str = ""
    numbers: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Kept:
    """A window with all of its times, and the place in the files where it stands."""

    where: str
    window: Window
    once: tuple[Occurrence, ...] = ()
    series: Series | None = None


def window_of(given: Given, venues: Mapping[str, tuple[str, ...]], pattern: str) -> Window:
    r"""Return the window that a file describes. Raises ``FieldError`` for the first field that is wrong.

    >>> window_of(Given("match", CalendarMode.EXPECTED_LOAD, numbers={"expected": 3.0}), {}, r"\d{15}").expected
    3.0
    """
    name = given.name
    if not name.strip() or len(name) > MAX_NAME_CHARS or not name.isprintable():
        raise FieldError("name", f"{name[:60]!r} must be 1 to {MAX_NAME_CHARS} printable characters; correct it")
    numbers = _numbers(given)
    return Window(
        name=name,
        mode=given.mode,
        scope=Scope(_cells(given, venues, pattern), _kind(given), _metric(given)),
        factor=numbers.get("factor", 1.0),
        expected=numbers.get("expected", 1.0),
        up_to=numbers.get("up_to"),
    )


def _cells(given: Given, venues: Mapping[str, tuple[str, ...]], pattern: str) -> tuple[str, ...]:
    if not given.venue:
        try:
            check_prefixes(given.cells, pattern)
        except ConfigError as error:
            raise FieldError("cells", str(error)) from None
        return tuple(sorted(set(given.cells)))
    if given.cells:
        raise FieldError("venue", "a window is about cells or about a venue; remove one of them")
    if given.venue not in venues:
        raise FieldError("venue", f"the venue {given.venue[:60]!r} is unknown; {_near(given.venue, venues)}")
    return tuple(sorted(set(venues[given.venue])))


def _kind(given: Given) -> Kind | None:
    if given.kind and given.kind not in tuple(Kind):
        raise FieldError("kind", f"{given.kind[:60]!r} is no kind of source; give one of {', '.join(Kind)}")
    return Kind(given.kind) if given.kind else None


def _metric(given: Given) -> str:
    kind = _kind(given)
    known = sorted({metric.name for metric in METRICS if kind in (None, metric.kind)})
    if given.metric and given.metric not in known:
        of_kind = f" of {kind}" if kind else ""
        raise FieldError("metric", f"{given.metric[:60]!r} is no metric{of_kind}; {_near(given.metric, known)}")
    return given.metric


def _numbers(given: Given) -> Mapping[str, float]:
    numbers, wanted = given.numbers, _NUMBERS_OF[given.mode]
    for name, value in numbers.items():
        if name not in wanted:
            modes = [mode for mode, names in _NUMBERS_OF.items() if name in names]
            raise FieldError(name, f"{name} belongs to the mode {modes[0]}, not to {given.mode}; remove it")
        if name != "up_to" and not (1 <= value <= MAX_FACTOR and (value > 1 or name == "expected")):
            low = "above 1" if name == "factor" else "at least 1"
            raise FieldError(name, f"{name} is {value:g}, it must be {low} and at most {MAX_FACTOR}; correct it")
    if wanted and len(numbers) != 1:
        raise FieldError(wanted[-1], f"the mode {given.mode} needs {' or '.join(wanted)}, one number; correct it")
    if "up_to" in numbers:
        _check_level(given, numbers["up_to"])
    return numbers


def _check_level(given: Given, level: float) -> None:
    if not given.metric:
        raise FieldError("up_to", "up_to is a level in the unit of one metric; give metric, or expected instead")
    high = max((m.high for m in METRICS if m.name == given.metric and given.kind in ("", m.kind)), default=math.inf)
    if not 0 < level <= high:
        raise FieldError("up_to", f"up_to is {level:g}, it must be above 0 and at most {high:g}; correct it")


def check_prefixes(cells: Sequence[str], pattern: str) -> None:
    r"""Return when these can be prefixes of grid codes. Raises ``ConfigError``, without a place, when not.

    >>> check_prefixes(["3101"], r"\d{15}")
    """
    digits = _DIGITS.fullmatch(pattern)
    for cell in cells:
        if not cell or not cell.isprintable() or cell != cell.strip():
            raise ConfigError(f"{cell[:60]!r} is no prefix of a grid code; correct it")
        if digits and not (cell.isascii() and cell.isdigit() and len(cell) <= int(digits[1])):
            raise ConfigError(f"no code of grid.pattern {pattern} begins with {cell[:60]!r}; correct it")


def _near(name: str, known: Iterable[str]) -> str:
    names = list(known)
    near = get_close_matches(name, names, 1)
    return f"did you mean {near[0]}?" if near else f"it must be one of {', '.join(names) or 'none'}"


def check_modes(kept: Iterable[Kept]) -> None:
    """Return when no two windows of one name and scope are open together with different modes.

    Raises ``ConfigError`` that names both. Windows that recur are compared over five years.
    """
    groups: dict[tuple[str, Scope], list[Kept]] = defaultdict(list)
    for each in kept:
        groups[each.window.name, each.window.scope].append(each)
    for group in groups.values():
        if len({each.window.mode for each in group}) > 1:
            _check_group(group)


def _check_group(group: list[Kept]) -> None:
    once = [(one, each) for each in group for one in each.once]
    begins = [each.series.first_ms for each in group if each.series is not None]
    from_ms = min(chain(begins, (one.start_ms for one, _ in once)))
    to_ms = max(chain((first + _CONTRADICTIONS_MS for first in begins), (one.end_ms for one, _ in once)))
    for each in group:
        if each.series is not None:
            once += [(one, each) for one in each.series.between(from_ms, to_ms)]
    still: list[tuple[Occurrence, Kept]] = []
    for one, each in sorted(once, key=lambda pair: (pair[0].start_ms, pair[0].end_ms, pair[1].where)):
        still = [pair for pair in still if pair[0].end_ms > one.start_ms]
        for before, other in still:
            if before.window.mode is not one.window.mode:
                raise ConfigError(
                    f"{each.where}: {one.window.name!r} is {one.window.mode} here and {before.window.mode} at "
                    f"{other.where}, at the same time; give one of them another name or time"
                )
        still.append((one, each))
