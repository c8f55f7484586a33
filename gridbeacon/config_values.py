"""Single values of the configuration: what a key takes in words, ``${...}`` in text, overrides from the environment."""

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import msgspec
from msgspec import inspect

from gridbeacon.config import Broker, ClickHouse
from gridbeacon.errors import ConfigError

PREFIX = "GRIDBEACON_"
_SECTIONS: tuple[tuple[str, type[msgspec.Struct]], ...] = (("broker", Broker), ("clickhouse", ClickHouse))
OVERRIDES: dict[str, str] = {
    PREFIX + key.replace(".", "_").upper(): key
    for key in (*(f"{section}.{name}" for section, kind in _SECTIONS for name in kind.__struct_fields__), "data_dir")
    if key != "clickhouse.accounts"  # a list of sections is no matter for a variable
}
"""The keys that the environment may set, by variable. With ``_FILE`` behind it a variable names a file."""

_OWN = tuple(f"{PREFIX}{section.upper()}_" for section, _ in _SECTIONS)
"""A variable that begins so is meant for us: when it is none of ours, it is a mistake."""
_REFERENCE = re.compile(r"\$\$\{|\$\{(?P<inside>[^}]*)\}|\$\{")
_VARIABLE = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>.*))?", re.DOTALL)


def say(kind: Any) -> str:
    """Return what a type takes, in words.

    >>> say(bool), say(int)
    ('true or false', 'a whole number')
    """
    if get_origin(kind) is Literal:  # in the order of the source, which for levels is their order
        return "one of " + ", ".join(get_args(kind))
    return _say(inspect.type_info(kind))


def _say(info: inspect.Type) -> str:
    match info:
        case inspect.BoolType():
            return "true or false"
        case inspect.IntType():
            return "a whole number" + _range(info)
        case inspect.FloatType():
            return "a number" + _range(info)
        case inspect.EnumType(cls=cls):
            return "one of " + ", ".join(str(member.value) for member in cls)
        case inspect.VarTupleType(item_type=item):
            return f"a list, each item {_say(item)}"
        case inspect.TupleType(item_types=items):
            return f"a list of {len(items)}, each item {_say(items[0])}"
        case inspect.DictType():
            return "a section of names and values"
        case inspect.StructType(cls=struct):
            return "a section with the keys " + ", ".join(struct.__struct_fields__)
        case _:
            return "text"


def _range(info: inspect.IntType | inspect.FloatType) -> str:
    if info.ge is not None and info.le is not None:
        return f" from {info.ge} to {info.le}"
    if info.ge is not None:
        return f" of at least {info.ge}"
    if info.gt is not None and info.le is not None:
        return f" greater than {info.gt}, at most {info.le}"
    return "" if info.gt is None else f" greater than {info.gt}"


def expand(text: str, environ: Mapping[str, str]) -> str:
    """Return ``text`` with ``${NAME}``, ``${NAME:-default}`` and ``${file:/path}`` replaced; ``$${`` stands for ``${``.

    The default also replaces an empty variable. What is put in is not expanded again.
    Raises ``ConfigError`` that names the variable or file that is missing, without place and key.

    >>> expand("http://${HOST}:${PORT:-80}/", {"HOST": "example.org"})
    'http://example.org:80/'
    """

    def value(found: re.Match[str]) -> str:
        if found.group() == "$${":
            return "${"
        inside = found["inside"] or ""
        if inside.startswith("file:"):
            return read_secret(inside.removeprefix("file:"))
        parts = _VARIABLE.fullmatch(inside)
        if parts is None:
            raise ConfigError(
                f"{found.group()!r} is no reference; write ${{NAME}}, ${{NAME:-default}} or ${{file:/path}} "
                "(and $${ for a plain ${)"
            )
        name, default = parts["name"], parts["default"]
        got = environ.get(name)
        if default is not None:
            return got or default
        if got is None:
            raise ConfigError(f"the environment variable {name} is not set; set it, or write ${{{name}:-default}}")
        return got

    return _REFERENCE.sub(value, text)


def overrides(environ: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """Yield (key, variable, text) of each override in the environment.

    Raises ``ConfigError`` on an unknown variable, one given twice (itself and ``_FILE``), or an unreadable file.
    """
    known = set(OVERRIDES) | {name + "_FILE" for name in OVERRIDES}
    for name in sorted(environ):
        if name.startswith(_OWN) and name not in known:
            near = get_close_matches(name, sorted(known), 1)
            raise ConfigError(
                f"{name}: no such environment variable is known; "
                + (f"did you mean {near[0]}?" if near else "unset it")
            )
    for name, key in OVERRIDES.items():
        from_file = name + "_FILE"
        if name in environ and from_file in environ:
            raise ConfigError(f"{name}: {key}: {from_file} is set too; unset one of them")
        if name in environ:
            yield key, name, environ[name]
        elif from_file in environ:
            try:
                yield key, from_file, read_secret(environ[from_file])
            except ConfigError as error:
                raise ConfigError(f"{from_file}: {key}: {error}") from None


def read_secret(name: str) -> str:
    """Return a file's text without the newline at its end. Raises ``ConfigError`` that names the file."""
    try:
        return Path(name).read_bytes().decode("utf-8").removesuffix("\n").removesuffix("\r")
    except OSError as error:
        raise ConfigError(f"the file {name!r} can't be read ({error.strerror}); correct its path or rights") from None
    except ValueError:  # also a path with a zero byte in it
        raise ConfigError(f"the file {name!r} is not UTF-8 text; save it as UTF-8") from None


def storable(text: str) -> bool:
    """Return whether files, sockets and databases can take ``text``: no zero byte, no half of a surrogate pair."""
    return "\0" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)
