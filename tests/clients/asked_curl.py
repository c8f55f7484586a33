"""``curl`` as the plainest client of the HTTP interface, and what its answers hold."""

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode


@dataclass(frozen=True, slots=True)
class Response:
    """What came back; ``complete`` says whether the server ended the answer in order."""

    status: int
    headers: dict[str, str]
    body: bytes
    complete: bool

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def summary(self) -> dict[str, int]:
        return {name: int(value) for name, value in json.loads(self.headers["x-clickhouse-summary"]).items()}


Curl = Callable[..., Response]


def curl_at(port: int, folder: Path) -> Curl:
    """Return what sends a request: options of curl, then the words of the URL's query."""

    def curl(*options: str, path: str = "/", data: bytes | None = None, **words: object) -> Response:
        command = ["curl", "--silent", "--max-time", "60", "--output", str(folder / "body")]
        command += ["--dump-header", str(folder / "head")]
        if data is not None:
            (folder / "data").write_bytes(data)
            command += ["--data-binary", f"@{folder / 'data'}"]
        (folder / "body").write_bytes(b"")
        url = f"http://127.0.0.1:{port}{path}" + (f"?{urlencode(words)}" if words else "")
        done = subprocess.run([*command, *options, url], timeout=90)
        head = (folder / "head").read_text().replace("\r\n", "\n").rstrip("\n").split("\n\n")[-1].splitlines()
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:])}
        return Response(int(head[0].split()[1]), headers, (folder / "body").read_bytes(), done.returncode == 0)

    return curl


def failed(response: Response, code: int, word: str) -> None:
    """Assert that a request failed as ClickHouse's fail: the code in a header, the name in the text."""
    assert response.headers.get("x-clickhouse-exception-code") == str(code), response
    assert response.status >= 400
    assert response.text.startswith(f"Code: {code}. DB::Exception: ")
    assert f"({word})" in response.text
