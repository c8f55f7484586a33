"""Reads ``gridbeacon.yaml``; whatever is wrong is one sentence with file, line, key and fix."""

import math
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args, get_origin
from urllib.parse import urlsplit, urlunsplit

import msgspec
import yaml
from msgspec.structs import FieldInfo
from yaml.events import AliasEvent
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from gridbeacon.config import Config
from gridbeacon.config_rules import mistakes
from gridbeacon.config_values import expand, overrides, say, storable
from gridbeacon.errors import ConfigError

HIDDEN = "***"
_SECRET_KEYS = ("password", "password_hash", "secrets", "url")
"""Values of keys with one of these names are not repeated in messages."""
_SCALARS = {f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "timestamp", "value")}
_LARGEST = 2**53
"""Beyond this a float no longer holds every whole number; no key means anything so large."""


def load(path: Path | None, environ: Mapping[str, str]) -> Config:
    """Return the configuration of a YAML file, or the defaults when ``path`` is None, with the environment applied.

    An empty file means the defaults too. Raises ``ConfigError``, ``file:line: key: what is wrong; the fix``, for the
    first mistake that is found; the text never repeats a password, secret or URL.
    """
    reader = Reader(path, environ)
    tree = {} if path is None else reader.tree(path)
    for key, variable, text in overrides(environ):
        reader.override(tree, key, variable, text)
    config = msgspec.convert(tree, Config)
    for mistake in mistakes(config):
        raise reader.error(mistake.keys, mistake.text)
    return config


def redacted(config: Config) -> dict[str, Any]:
    """Return the configuration as plain data to show: no passwords or secrets, no users and queries in URLs."""
    tree: dict[str, Any] = msgspec.to_builtins(config)
    for section in ("broker", "clickhouse"):
        if tree[section]["password"]:
            tree[section]["password"] = HIDDEN
    for account in tree["clickhouse"]["accounts"]:
        if account["password_hash"]:
            account["password_hash"] = HIDDEN
    for webhook in tree["notify"]["webhooks"]:
        webhook["secrets"] = [HIDDEN for _ in webhook["secrets"]]
        for name in ("routing_key", "sign_secret"):
            webhook[name] = HIDDEN if webhook[name] else ""
        webhook["url"] = _bare(webhook["url"])
        if webhook["profile"] == "feishu":  # its robots have their token in the path
            webhook["url"] = webhook["url"].rpartition("/")[0] + "/" + HIDDEN
    return tree


def _bare(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return HIDDEN
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


class _AliasError(yaml.MarkedYAMLError):
    """An alias stands where ``problem_mark`` says."""


class _NoAliases(yaml.SafeLoader):
    """Refuses aliases: a value's line is then its own, and no file unfolds without end."""

    def compose_node(self, parent: Node | None, index: int) -> Node | None:
        if self.check_event(AliasEvent):
            raise _AliasError(problem_mark=self.peek_event().start_mark)  # type: ignore[no-untyped-call]
        return super().compose_node(parent, index)


class Reader:
    """Turns the nodes of one file into plain data, led by the types of structs, and knows where each key stands."""

    def __init__(self, path: Path | None, environ: Mapping[str, str]) -> None:
        self._name = "the defaults" if path is None else str(path)
        self._environ = environ
        self._places: dict[str, str] = {}

    def tree(self, path: Path, kind: type[msgspec.Struct] = Config) -> dict[str, Any]:
        """Return the file as plain data that ``msgspec.convert`` takes for a ``kind``."""
        try:
            text = path.read_bytes().decode("utf-8-sig")
        except OSError as error:
            raise ConfigError(f"{path}: it can't be read ({error.strerror}); correct its path or rights") from error
        except UnicodeDecodeError as error:
            line = error.object.count(b"\n", 0, error.start) + 1
            raise ConfigError(f"{path}:{line}: it is not UTF-8 text; save it as UTF-8") from error
        except ValueError as error:
            raise ConfigError(f"{path!r}: it is no path ({error}); correct it") from error
        node = self._compose(text)
        if node is None:
            return {}
        return self._section(node, kind, "")

    def override(self, tree: dict[str, Any], key: str, variable: str, text: str) -> None:
        """Put the text of an environment variable into ``tree`` at ``key``; numbers and booleans are read from it."""
        kind: Any = Config
        *above, last = key.split(".")
        for name in above:
            kind, tree = _fields(kind)[name].type, tree.setdefault(name, {})
        field = _fields(kind)[last]
        self._places[key] = variable
        tree[last] = self._checked(text, field.type, key, field, strict=False)

    def error(self, keys: tuple[str, ...], text: str) -> ConfigError:
        """Return the error at the first of ``keys`` that was given, else at the nearest section that was."""
        key = next((key for key in keys if key in self._places), keys[0])
        place, above = self._places.get(key), key
        while place is None and above:
            above = above.rpartition(".")[0]
            place = self._places.get(above)
        return ConfigError(f"{place or self._name}: {key}: {text}" if key else f"{place or self._name}: {text}")

    def has(self, section: str, name: str) -> bool:
        """Return whether a section, such as ``windows[0]``, gives a key."""
        return f"{section}.{name}" in self._places

    def place(self, key: str) -> str:
        """Return ``file:line`` of a key that was given."""
        return self._places[key]

    def _compose(self, text: str) -> Node | None:
        try:
            loader = _NoAliases(text)
            try:
                return loader.get_single_node()
            finally:
                loader.dispose()
        except yaml.reader.ReaderError as error:
            line = text.count("\n", 0, error.position) + 1
            raise ConfigError(f"{self._name}:{line}: a control character stands here; remove it") from error
        except yaml.MarkedYAMLError as error:
            raise self._syntax(error, text) from error
        except RecursionError:
            raise ConfigError(f"{self._name}: it nests too deep; remove the surplus brackets or levels") from None
        except (ValueError, OverflowError) as error:  # an escape such as "\UFFFFFFFF"
            raise ConfigError(f"{self._name}: it is not valid YAML ({error}); correct it") from error

    def _syntax(self, error: yaml.MarkedYAMLError, text: str) -> ConfigError:
        mark = error.problem_mark or error.context_mark
        number = 1 if mark is None else mark.line + 1
        lines = text.splitlines()
        line = lines[number - 1] if number <= len(lines) else ""
        if "\t" in line[: len(line) - len(line.lstrip())] or "'\\t'" in str(error.problem):
            return ConfigError(f"{self._name}:{number}: a tab stands where only spaces may; use spaces instead")
        if isinstance(error, _AliasError):
            return ConfigError(f"{self._name}:{number}: an alias (*name) is not supported; write the value out")
        problem = " ".join(str(part) for part in (error.context, error.problem) if part).replace("\n", " ")
        begun = number if error.context_mark is None else error.context_mark.line + 1
        fix = "correct this line or the one above" if begun == number else f"correct what begins in line {begun}"
        return ConfigError(f"{self._name}:{number}: it is not valid YAML ({problem}); {fix}")

    def _section(self, node: Node, kind: Any, key: str) -> dict[str, Any]:
        """Return a mapping's values, each read as the struct ``kind`` says."""
        known = _fields(kind)
        if isinstance(node, ScalarNode) and node.tag == "tag:yaml.org,2002:null":
            # A heading whose keys are all commented out.
            node = MappingNode("tag:yaml.org,2002:map", [], node.start_mark, node.end_mark)
        if not isinstance(node, MappingNode):
            here = "the file must hold" if not key else "it must be"
            raise self._at(node, key, f"{here} a section of 'key: value' lines with the keys {', '.join(known)}")
        if not node.tag.endswith(":map"):
            raise self._at(node, key, f"the tag {node.tag} is not supported; remove it")
        found: dict[str, Any] = {}
        lines: dict[str, int] = {}
        for name_node, value in node.value:
            name = name_node.value if isinstance(name_node, ScalarNode) else ""
            full = f"{key}.{name}" if key else name
            if name not in known:
                raise self._at(name_node, full, _unknown(name, list(known)))
            if name in found:
                raise self._at(name_node, full, f"it is given twice, first in line {lines[name]}; remove one")
            self._places[full] = self._place(name_node)
            lines[name] = name_node.start_mark.line + 1
            found[name] = self._value(value, known[name].type, full, known[name])
        for name, field in known.items():
            if field.required and name not in found:
                raise self.error((f"{key}.{name}",), f"it is missing; give {say(field.type)}")
        return found

    def _value(self, node: Node, kind: Any, key: str, field: FieldInfo) -> Any:
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            return self._section(node, kind, key)
        if get_origin(kind) is tuple:
            return self._list(node, kind, key, field)
        if get_origin(kind) is dict:
            return self._named(node, kind, key, field)
        if not isinstance(node, ScalarNode):
            raise self._at(node, key, f"it must be {say(kind)}, not {_form(node)}" + _default(field))
        value = self._scalar(node, key)
        if value is None:
            raise self._at(node, key, f"it has no value; give {say(kind)}, or remove the line" + _default(field))
        if isinstance(value, str):
            try:
                value = expand(value, self._environ)
            except ConfigError as error:
                raise self._at(node, key, str(error)) from None
        return self._checked(value, kind, key, field, node=node)

    def _list(self, node: Node, kind: Any, key: str, field: FieldInfo) -> list[Any]:
        if not isinstance(node, SequenceNode) or not node.tag.endswith(":seq"):
            raise self._at(
                node, key, f"it must be {say(kind)}, not {_form(node)}; write it as [a, b]" + _default(field)
            )
        items = get_args(kind)
        wanted = len(items) if items[-1] is not ... else len(node.value)
        if len(node.value) != wanted:
            text = f"it must be {say(kind)}; here it has {len(node.value)}, give {wanted}"
            raise self._at(node, key, text + _default(field))
        found = []
        for number, item in enumerate(node.value):
            full = f"{key}[{number}]"
            self._places[full] = self._place(item)
            found.append(self._value(item, items[0], full, field))
        return found

    def _named(self, node: Node, kind: Any, key: str, field: FieldInfo) -> dict[str, Any]:
        """Return a section whose names are not known in advance."""
        if not isinstance(node, MappingNode) or not node.tag.endswith(":map"):
            raise self._at(node, key, f"it must be {say(kind)}, not {_form(node)}" + _default(field))
        found: dict[str, Any] = {}
        for name_node, value in node.value:
            name = name_node.value if isinstance(name_node, ScalarNode) else ""
            full = f"{key}.{name}"
            if not name or name in found:
                raise self._at(name_node, full, "a name must be given, and only once; correct it")
            self._places[full] = self._place(name_node)
            found[name] = self._value(value, get_args(kind)[1], full, field)
        return found

    def _scalar(self, node: ScalarNode, key: str) -> Any:
        """Return the text, number, boolean or None that a scalar stands for; dates stay the text that they are."""
        if node.tag not in _SCALARS:
            raise self._at(node, key, f"the tag {node.tag} is not supported; remove it, or put the text in quotes")
        if node.tag.endswith((":str", ":timestamp", ":value")):
            return str(node.value)
        constructor = yaml.constructor.SafeConstructor()
        try:
            if ":" in node.value:  # YAML 1.1 would read 12:30 as 750
                raise ValueError
            value = constructor.construct_object(node)
        except (ValueError, LookupError, OverflowError):
            raise self._at(node, key, f"{_shown(node.value, key)} can't be read; correct it") from None
        if type(value) in (int, float) and not (math.isfinite(value) and abs(value) <= _LARGEST):
            raise self._at(node, key, f"{_shown(node.value, key)} is no number of a usable size; correct it")
        return value

    def _checked(
        self, value: Any, kind: Any, key: str, field: FieldInfo, *, node: ScalarNode | None = None, strict: bool = True
    ) -> Any:
        """Return ``value`` when ``kind`` takes it (from text too unless ``strict``), as plain data."""
        problem: str | None = None
        if isinstance(value, str) and not storable(value):
            problem = "it holds a character that no file or server takes; remove it"
        else:
            try:
                return msgspec.to_builtins(msgspec.convert(value, kind, strict=strict))
            except msgspec.ValidationError:
                shown = _shown(value if node is None or isinstance(value, str) else node.value, key)
                problem = f"{shown} is not {say(kind)}; " + (
                    "put it in quotes" if kind is str else "correct it" + _default(field)
                )
        if node is None:
            raise self.error((key,), problem)
        raise self._at(node, key, problem)

    def _place(self, node: Node) -> str:
        return f"{self._name}:{node.start_mark.line + 1}"

    def _at(self, node: Node, key: str, text: str) -> ConfigError:
        return ConfigError(": ".join(part for part in (self._place(node), key, text) if part))


def _fields(kind: Any) -> dict[str, FieldInfo]:
    return {field.name: field for field in msgspec.structs.fields(kind)}


def _unknown(name: str, known: list[str]) -> str:
    near = get_close_matches(name, known, 1)
    fix = f"did you mean {near[0]}?" if near else f"the keys here are {', '.join(known)}"
    return f"this key is unknown; {fix}"


def _form(node: Node) -> str:
    return "a list" if isinstance(node, SequenceNode) else "a section" if isinstance(node, MappingNode) else "one value"


def _default(field: FieldInfo) -> str:
    """Return the default in brackets, nothing where it would not help."""
    if field.required or field.default in ("", (), msgspec.NODEFAULT) or isinstance(field.default, msgspec.Struct):
        return ""
    plain = msgspec.to_builtins(field.default)
    return (
        f" (the default is {msgspec.json.encode(plain).decode() if isinstance(plain, (list, tuple, bool)) else plain})"
    )


def _shown(value: Any, key: str) -> str:
    """Return a value as messages may show it: short, and never a secret."""
    if any(part.split("[")[0] in _SECRET_KEYS for part in key.split(".")):
        return "the value"
    text = str(value)
    return repr(text if len(text) <= 60 else text[:57] + "...")
