"""``docs/api.md`` is the API: every path, parameter, role and refusal, and no other."""

import re
from pathlib import Path

from gridbeacon.config import Api, Config
from gridbeacon.registry import Registry
from web.app import create_app
from web.database import Database
from web.hub import Hub
from web.parts import Parts
from web.reads import REFUSED
from web.tokens import ROLES, Doorkeeper
from web.view import View

DOC = (Path(__file__).resolve().parents[2] / "docs" / "api.md").read_text(encoding="utf-8")


def document() -> dict:
    view, config = View(), Config()
    parts = Parts(
        config=config,
        registry=Registry(),
        view=view,
        hub=Hub(view),
        database=Database(config),
        door=Doorkeeper(None, 1.0),
        health=dict,
    )
    return create_app(parts).openapi()


def test_every_path_is_described_and_no_other() -> None:
    paths = {f"{method.upper()} {path}" for path, one in document()["paths"].items() for method in one}
    assert set(re.findall(r"^\| `((?:GET|POST|DELETE) [^`]+)` \|", DOC, re.MULTILINE)) == paths


def test_every_parameter_is_named() -> None:
    for path, methods in document()["paths"].items():
        for operation in methods.values():
            for parameter in operation.get("parameters", ()):
                assert re.search(rf"\b{parameter['name']}\b", DOC), (path, parameter["name"])


def test_every_role_and_refusal_has_its_row() -> None:
    assert re.findall(r"^\| `(\w+)` \| (?:also |look|every)", DOC, re.MULTILINE) == list(ROLES)
    assert [int(code) for code in re.findall(r"^\| (\d{3}) \|", DOC, re.MULTILINE)] == sorted({*REFUSED, 403})


def test_what_it_says_of_the_defaults_is_so() -> None:
    assert f"http://127.0.0.1:{Api().port}/" in DOC
    for key in re.findall(r"`api\.(\w+)`", DOC):
        assert key in Api.__struct_fields__
