"""``gridbeacon webhook test`` against ``gridbeacon webhook listen``: two processes, as who integrates runs them."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from gridbeacon.cli.webhook_words import verdict
from gridbeacon.config_notify import Webhook
from sinks.deliveries import Result
from tests.commands import gridbeacon
from tests.servers import ROOT, free_port

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
COMMAND = [sys.executable, "-m", "gridbeacon"]


def test(folder: Path, *words: str) -> tuple[int, Any]:
    done = gridbeacon("webhook", "test", "listen", *words, "--config", str(folder / "gridbeacon.yaml"), cwd=ROOT)
    return done.returncode, done.stdout or done.stderr


test.__test__ = False  # the name is the command's


def test_what_listen_says_to_write_is_a_configuration_with_which_test_succeeds(tmp_path: Path) -> None:
    port = free_port()
    listen = subprocess.Popen(
        [*COMMAND, "webhook", "listen", "--port", str(port), "--status", "503", "--count", "2"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert listen.stdout is not None
        assert f"127.0.0.1:{port}" in listen.stdout.readline()
        listen.stdout.readline()
        shown: list[str] = []
        while line := listen.stdout.readline().rstrip("\n"):
            shown.append(line)
        (tmp_path / "gridbeacon.yaml").write_text("\n".join(shown) + "\n")
        code, said = test(tmp_path)
        assert code == 1
        assert "HTTP 503" in said
        assert "would be tried again" in said
        code, said = test(tmp_path, "--json")
        assert code == 0
        assert json.loads(said)["outcome"] == "delivered"
        printed = listen.stdout.read()
        assert "verified, answered 503" in printed
        assert "verified, answered 204" in printed
        assert '"mode": "test"' in printed
        assert listen.wait(20) == 0
    finally:
        listen.kill()
        listen.wait()


def test_test_says_why_nothing_arrives(tmp_path: Path) -> None:
    head = "notify:\n  webhooks:\n    - name: listen\n      url: "
    started = time.monotonic()
    for rest, code, words in (
        (f"http://127.0.0.1:9/\n      secrets: [{SECRET}]\n", 3, "allow_private"),
        (f"http://127.0.0.1:9/\n      secrets: [{SECRET}]\n      allow_private: true\n", 1, "Cannot connect"),
        (f"http://localhost:9/\n      secrets: [{SECRET}]\n", 1, "Nothing was sent"),
        ("https://h.example.org/\n      secrets: [whsec_c2hvcnQ=]\n", 3, "24 bytes"),
    ):
        (tmp_path / "gridbeacon.yaml").write_text(head + rest)
        got, said = test(tmp_path)
        assert (got, words in said) == (code, True), said
        assert SECRET not in said
    assert time.monotonic() - started < 60


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (Result(401, "no signature fits", None, 0, 5.0), ["same secret", "no signature fits"]),
        (Result(302, "", None, 0, 5.0), ["redirects are not followed"]),
        (Result(410, "", None, 0, 5.0), ["gone", "all that follow"]),
        (Result(429, "", 30.0, 0, 5.0), ["wait 30 s", "tried again", "go to reserve too"]),
        (Result(404, "", None, 0, 5.0), ["path of the URL", "go to reserve"]),
        (Result(500, "", None, 0, 5.0), ["fault of its own"]),
        (Result(418, "", None, 0, 5.0), ["HTTP 418"]),
        (Result(200, "sign not match", None, 0, 5.0, "permanent"), ["its answer says no", "sign not match"]),
        (Result(0, "no answer within 10 s", None, 0, 5.0), ["no answer within 10 s", "tried again"]),
    ],
)
def test_each_answer_in_words(result: Result, words: list[str]) -> None:
    hook = Webhook(name="centre", url="https://h.example.org/t0k3n", fallback="reserve")
    text = " ".join(verdict(hook, result))
    assert text.startswith("centre ")
    assert all(word in text for word in words), text
    assert "t0k3n" not in text
