"""The state of a river object as bytes, to the digit, and back. Not a pickle: only what is named here can be made anew.

An object is taken apart as Python's own protocol does it (``object.__reduce_ex__``), its parts are numbered, and the
list of parts is written as MessagePack. What is shared, or refers to itself, is one part with several references.
"""

import zlib
from importlib import import_module
from types import BuiltinFunctionType, FunctionType
from typing import Any

import msgspec

from gridbeacon.errors import ConfigError

_ALLOWED = {
    "copyreg": {"__newobj__", "_reconstructor"},
    "collections": {"deque", "defaultdict", "OrderedDict", "Counter"},
    "random": {"Random"},
    "math": {"fsum", "sqrt", "exp", "log"},
    "functools": {"partial"},
    "builtins": {"int", "float", "bool", "str", "list", "dict", "tuple", "set", "frozenset", "object", "abs", "sum"},
}
_LARGEST = 2**63
Part = list[Any]


def to_bytes(thing: Any) -> bytes:
    """Return a river object as bytes.

    Raises ``ConfigError`` when it holds something that can't be saved.
    """
    return zlib.compress(msgspec.msgpack.encode(_Writer().write(thing)), 1)


def from_bytes(value: bytes) -> Any:
    """Return the object that ``to_bytes`` wrote. Raises ``ValueError`` on anything else."""
    try:
        return _Reader(msgspec.msgpack.decode(zlib.decompress(value))).read()
    except (zlib.error, msgspec.DecodeError, IndexError, TypeError, KeyError) as error:
        raise ValueError(f"these bytes are no state of a detector of river ({error})") from error


class _Writer:
    def __init__(self) -> None:
        self._parts: list[Part] = []
        self._known: dict[int, int] = {}
        self._alive: list[Any] = []  # an id is only good while its object lives

    def write(self, thing: Any) -> list[Part]:
        """Return all parts; the thing itself is the last reference."""
        last = self._ref(thing)
        return [*self._parts, ["root", last]]

    def _ref(self, thing: Any) -> Any:
        if thing is None or isinstance(thing, (bool, float, str)):
            return ["v", thing]
        if type(thing) is int:
            return ["v", thing] if -_LARGEST < thing < _LARGEST else ["i", str(thing)]
        if id(thing) in self._known:
            return ["r", self._known[id(thing)]]
        if type(thing) is tuple:  # a tuple can't hold itself
            return ["t", [self._ref(one) for one in thing]]
        number = self._known[id(thing)] = len(self._parts)
        self._alive.append(thing)
        self._parts.append([])
        self._parts[number] = self._part(thing)
        return ["r", number]

    def _part(self, thing: Any) -> Part:
        if isinstance(thing, (type, FunctionType, BuiltinFunctionType)):
            return ["g", *_name(thing)]
        if type(thing) in (list, set, frozenset):
            items = sorted(thing) if type(thing) is not list else thing
            return [type(thing).__name__, [self._ref(one) for one in items]]
        if type(thing) is dict:
            return ["dict", [[self._ref(key), self._ref(value)] for key, value in thing.items()]]
        try:
            make, args, *rest = thing.__reduce_ex__(4)
        except TypeError as error:
            raise ConfigError(f"river: a {type(thing).__qualname__} can't be saved ({error})") from error
        state, items, pairs = (*rest[:3], None, None, None)[:3]
        return [
            "o",
            self._ref(make),
            [self._ref(one) for one in args],
            self._ref(state),
            [self._ref(one) for one in items or ()],
            [[self._ref(key), self._ref(value)] for key, value in pairs or ()],
        ]


class _Reader:
    def __init__(self, parts: list[Part]) -> None:
        self._parts = parts
        self._made: dict[int, Any] = {}

    def read(self) -> Any:
        kind, last = self._parts[-1]
        if kind != "root":
            raise ValueError("these bytes are no state of a detector of river")
        return self._value(last)

    def _value(self, ref: Part) -> Any:
        kind, what = ref
        if kind == "v":
            return what
        if kind == "i":
            return int(what)
        if kind == "t":
            return tuple(self._value(one) for one in what)
        return self._made[what] if what in self._made else self._make(what)

    def _make(self, number: int) -> Any:
        kind, *rest = self._parts[number]
        if kind == "g":
            made = self._made[number] = _thing(*rest)
        elif kind == "list":
            made = self._made[number] = []
            made.extend(self._value(one) for one in rest[0])
        elif kind in ("set", "frozenset"):
            made = self._made[number] = {"set": set, "frozenset": frozenset}[kind](self._value(one) for one in rest[0])
        elif kind == "dict":
            made = self._made[number] = {}
            for key, value in rest[0]:
                made[self._value(key)] = self._value(value)
        else:
            make, args, state_ref, items, pairs = rest
            made = self._made[number] = self._value(make)(*(self._value(one) for one in args))
            state = self._value(state_ref)
            if state is not None:
                _set(made, state)
            for one in items:
                made.append(self._value(one))
            for key, value in pairs:
                made[self._value(key)] = self._value(value)
        return made


def _set(thing: Any, state: Any) -> None:
    if hasattr(thing, "__setstate__"):
        thing.__setstate__(state)
        return
    attributes, slots = state if isinstance(state, tuple) else (state, None)
    for name, value in {**(attributes or {}), **(slots or {})}.items():
        object.__setattr__(thing, name, value)


def _name(thing: Any) -> tuple[str, str]:
    module, name = str(thing.__module__), str(thing.__qualname__)
    _check(module, name)
    return module, name


def _thing(module: str, name: str) -> Any:
    _check(module, name)
    found: Any = import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    return found


def _check(module: str, name: str) -> None:
    if not (module == "river" or module.startswith("river.") or name in _ALLOWED.get(module, ())):
        raise ConfigError(f"river: {module}.{name} can't be part of a detector's state")
    if "<" in name:
        raise ConfigError(f"river: {module}.{name} has no name of its own and can't be saved")
