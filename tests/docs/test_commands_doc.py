"""``docs/commands.md`` is the command line: every command, argument, option, default and exit code, and no other."""

import re
import shlex
from pathlib import Path

import pytest
import typer

from gridbeacon.cli import EXIT_CODES, INTERRUPTED, app
from gridbeacon.cli.results import WORDS

ROOT = Path(__file__).resolve().parents[2]
DOC = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
TOP = "gridbeacon"


def walk(command, path):
    """Yield (path, command) of everything that can be called; groups are only the way to their commands."""
    below = getattr(command, "commands", {})
    if not below or command.params:
        yield path, command
    for name, one in below.items():
        yield from walk(one, f"{path} {name}")


COMMANDS = dict(walk(typer.main.get_command(app), TOP))


def sections():
    """Return the text below each command's heading; the options of the whole command line have a heading in words."""
    parts = re.split(r"^##+ (.*)\n", DOC, flags=re.MULTILINE)
    found = {name.strip("`"): text for name, text in zip(parts[1::2], parts[2::2], strict=True)}
    return {name: text for name, text in found.items() if name.startswith(TOP)} | {TOP: found["Shell completion"]}


SECTIONS = sections()


def row(parameter) -> str:
    argument = parameter.param_type_name == "argument"
    names = [parameter.metavar or parameter.name.upper()] if argument else parameter.opts
    default = "" if parameter.default in (None, False) else f"`{parameter.default}`"
    return f"| {', '.join(f'`{name}`' for name in names)} | {default} | {parameter.help} |"


def examples(text: str) -> list[list[str]]:
    blocks = re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [shlex.split(line) for block in blocks for line in block.splitlines()]


def test_every_command_has_its_section_and_no_other() -> None:
    assert set(SECTIONS) == set(COMMANDS)


@pytest.mark.parametrize("path", COMMANDS)
def test_every_option_has_its_row_and_no_other(path: str) -> None:
    rows = [line for line in SECTIONS[path].splitlines() if line.startswith("| `")]
    assert rows == [row(parameter) for parameter in COMMANDS[path].params]


@pytest.mark.parametrize("path", COMMANDS)
def test_the_examples_parse_and_show_every_option(path: str) -> None:
    command = COMMANDS[path]
    shown = set()
    for words in examples(SECTIONS[path]):
        assert " ".join(words).startswith(path)
        arguments = words[len(path.split()) :]
        if path != TOP:  # completion acts as soon as it is parsed
            with command.make_context(path, list(arguments)):
                pass
        shown.update(arguments)
    for parameter in command.params:
        assert parameter.param_type_name == "argument" or shown & set(parameter.opts), parameter.opts


def test_options_that_are_named_anywhere_exist() -> None:
    known = {name for command in COMMANDS.values() for parameter in command.params for name in parameter.opts}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", DOC)) <= known | {"--help"}


def test_commands_that_are_named_anywhere_exist() -> None:
    named = re.findall(r"`gridbeacon((?: [a-z-]+)+)", DOC)
    assert named
    for words in named:
        assert f"{TOP}{words}" in COMMANDS, words


def test_every_exit_code_has_its_row_and_no_other() -> None:
    rows = re.findall(r"^\| (\d+) \| (.*) \|$", DOC.partition("## Exit codes")[2], re.MULTILINE)
    said = [(int(code), text) for code, text in rows]
    assert said == sorted(said, key=lambda pair: pair[0])
    ours = {(code, text) for _, code, text in EXIT_CODES}
    assert ours <= set(said)
    # The rest are those of every program: done, ended by Ctrl-C, and the parser's "no" to a question.
    assert [code for code, text in said if (code, text) not in ours] == [0, 1, INTERRUPTED]


def test_every_kind_of_a_backtest_is_named() -> None:
    (kinds,) = re.findall(r"is one of ((?:`\w+`(?:, )?)+)\.", SECTIONS["gridbeacon backtest"])
    assert re.findall(r"`(\w+)`", kinds) == list(WORDS.values())
