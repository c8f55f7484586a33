"""Levels of places: what is the case in cells rolls up the grid's tree to communities, streets and counties."""

from collections.abc import Iterable

from gridbeacon.reasons import Level


def roll_up(
    situations: Iterable[Iterable[str]], levels: Iterable[Level], digits: tuple[int, ...] = (6, 9, 12, 15)
) -> dict[str, Level]:
    """Return the worst level of each place, by the beginning of its code; ``situations`` are the cells of each.

    The view ``level_now`` says the same of what is the case now.

    >>> found = roll_up([["310101001002003"], ["310101001009001"]], [Level.YELLOW, Level.RED], (6, 9, 12))
    >>> {place: level.word for place, level in found.items()}
    {'310101': 'red', '310101001': 'red', '310101001002': 'yellow', '310101001009': 'red'}
    """
    found: dict[str, Level] = {}
    for cells, level in zip(situations, levels, strict=True):
        for cell in cells:
            for place in dict.fromkeys(cell[:n] for n in digits):
                found[place] = max(found.get(place, Level.NONE), level)
    return dict(sorted(found.items(), key=lambda pair: (len(pair[0]), pair[0])))
