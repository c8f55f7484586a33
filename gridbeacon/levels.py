"""How levels are shown, everywhere the same: a symbol, a word in two languages, and a colour."""

from gridbeacon.reasons import Level

#: Never colour alone: each level has a shape that can be told from the others in black and white.
SYMBOLS: dict[Level, str] = {Level.NONE: "·", Level.BLUE: "●", Level.YELLOW: "▲", Level.ORANGE: "◆", Level.RED: "■"}
COLOURS: dict[Level, str] = {
    Level.NONE: "#6e7681",
    Level.BLUE: "#2f7fd6",
    Level.YELLOW: "#e0b400",
    Level.ORANGE: "#e8710a",
    Level.RED: "#d1242f",
}
ZH: dict[Level, str] = {Level.NONE: "无", Level.BLUE: "蓝", Level.YELLOW: "黄", Level.ORANGE: "橙", Level.RED: "红"}


def said(level: Level) -> str:
    """Return a level as people read it.

    >>> said(Level.ORANGE)
    '◆ orange 橙'
    """
    return f"{SYMBOLS[level]} {level.word} {ZH[level]}"
