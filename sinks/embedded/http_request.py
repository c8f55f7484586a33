"""One request as HTTP has it: who asks, what, and how the answer is to be."""

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import parse_qsl

from sinks.embedded.wire import ServerError

AUTHENTICATION_FAILED, BAD_ARGUMENTS, NOT_IMPLEMENTED = 516, 36, 48
MOST_WORDS = 2000
ENCODINGS = ("zstd", "lz4", "gzip", "deflate")
"""How answers may be compressed, the best first."""
_OURS = frozenset(
    "query database default_format user password session_id session_timeout session_check close_session query_id "
    "compress decompress client_protocol_version wait_end_of_query buffer_size quota_key role stacktrace "
    "enable_http_compression http_zlib_compression_level send_progress_in_http_headers "
    "http_response_buffer_size http_native_compression_disable_checksumming_on_decompress".split()
)
"""Words of the address that are not settings of a query."""


class Credentials(NamedTuple):
    """Name and password; ``given`` says whether there were any."""

    user: str
    password: str
    given: bool


@dataclass(frozen=True, slots=True)
class Request:
    """A request's head; names of headers are in lower case."""

    method: str
    path: str
    words: dict[str, str]
    headers: dict[str, str]

    @property
    def reads_only(self) -> bool:
        """Whether its method may change nothing."""
        return self.method in ("GET", "HEAD")

    @property
    def parameters(self) -> dict[str, str]:
        """The values of a query's parameters."""
        return {name[6:]: value for name, value in self.words.items() if name.startswith("param_")}

    @property
    def settings(self) -> dict[str, str]:
        """The settings that it asks for."""
        return {
            name: value for name, value in self.words.items() if name not in _OURS and not name.startswith("param_")
        }

    @property
    def database(self) -> str:
        """The database that it names, empty when none."""
        return self.words.get("database") or self.headers.get("x-clickhouse-database", "")

    @property
    def default_format(self) -> str:
        """The format of an answer whose statement names none."""
        named = self.headers.get("x-clickhouse-format") or self.words.get("default_format")
        return named or "TabSeparated"

    @property
    def encoding(self) -> str:
        """How the answer is to be compressed, empty when it is not."""
        if not self.flag("enable_http_compression"):
            return ""
        accepted = {
            part.split(";")[0].strip().lower()
            for part in self.headers.get("accept-encoding", "").split(",")
            if not part.replace(" ", "").endswith(";q=0")
        }
        return next((name for name in ENCODINGS if name in accepted), "")

    def flag(self, name: str) -> bool:
        """Return whether a word of the address says yes."""
        return self.words.get(name, "0").lower() not in ("", "0", "false")

    def number(self, name: str, default: int) -> int:
        """Return a word of the address as a number; raises ``ServerError`` (code 36) when it is none."""
        text = self.words.get(name, "")
        if not text:
            return default
        if not text.isdecimal() or len(text) > 18:
            raise ServerError(BAD_ARGUMENTS, f"{name} must be a number, not {text[:50]!r} (BAD_ARGUMENTS)")
        return int(text)

    def credentials(self) -> Credentials:
        """Return who asks. Raises ``ServerError`` (code 516) when it is said in two ways, or can't be read."""
        headers, words = self.headers, self.words
        basic = headers.get("authorization", "")
        ways = [
            bool(basic),
            "x-clickhouse-user" in headers or "x-clickhouse-key" in headers,
            "user" in words or "password" in words,
        ]
        if sum(ways) > 1:
            raise ServerError(
                AUTHENTICATION_FAILED,
                "Invalid authentication: name and password may come in one way only, of Basic, the headers "
                "X-ClickHouse-User and X-ClickHouse-Key, and the address (AUTHENTICATION_FAILED)",
            )
        if basic:
            return _basic(basic)
        if ways[1]:
            return Credentials(
                _utf8(headers.get("x-clickhouse-user", "")), _utf8(headers.get("x-clickhouse-key", "")), given=True
            )
        return Credentials(words.get("user", ""), words.get("password", ""), given=ways[2])


def parsed(method: bytes, target: bytes, headers: Iterable[tuple[bytes, bytes]]) -> Request:
    """Return the request of these parts. Raises ``ServerError`` (code 36) on an address with too many words."""
    path, _, query = target.decode("latin-1").partition("?")
    try:
        words = dict(parse_qsl(query, keep_blank_values=True, max_num_fields=MOST_WORDS, errors="replace"))
    except ValueError as error:
        raise ServerError(BAD_ARGUMENTS, f"more than {MOST_WORDS} words in the address (BAD_ARGUMENTS)") from error
    found = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in headers}
    return Request(method.decode("latin-1"), path, words, found)


def _basic(text: str) -> Credentials:
    scheme, _, packed = text.partition(" ")
    try:
        if scheme.lower() != "basic":
            raise ValueError
        user, _, password = base64.b64decode(packed.strip(), validate=True).decode().partition(":")
    except (ValueError, binascii.Error) as error:
        raise ServerError(
            AUTHENTICATION_FAILED,
            "Invalid authentication: the header Authorization is not Basic's (AUTHENTICATION_FAILED)",
        ) from error
    return Credentials(user, password, given=True)


def _utf8(text: str) -> str:
    """Return a header's value as what its bytes most likely mean."""
    raw = text.encode("latin-1")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return text
