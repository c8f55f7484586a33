"""The section ``api`` of the configuration: where the board and the HTTP API are served, and to whom."""

from typing import Annotated

from msgspec import Meta

from gridbeacon.config_section import Count, Port, Positive, Section


class Api(Section, frozen=True):
    """The role ``api``. On loopback nobody needs a token unless ``tokens_file`` names one; beyond loopback all do."""

    listen: str = "127.0.0.1"
    """Address to listen at; any other than loopback needs ``tokens_file``, and TLS or ``allow_plain``."""
    port: Port = 19080
    """0 = ``gridbeacon up`` serves neither board nor API."""
    hosts: tuple[str, ...] = ()
    """Names by which browsers may call it, besides the address and the names of loopback."""
    tokens_file: str = ""
    """File of tokens, as ``gridbeacon api token`` writes it; relative to the configuration file."""
    tls_cert_file: str = ""
    tls_key_file: str = ""
    """Certificate and key (PEM)."""
    allow_plain: bool = False
    """Listen beyond loopback without TLS all the same: behind a proxy that speaks TLS."""
    session_hours: Positive = 12.0
    """A browser must log in again after this long."""
    requests_per_min: Count = 1200
    """Of one client; more are told to wait."""
    actions_per_min: Count = 120
    max_body_kb: Count = 64
    max_streams: Count = 500
    """Event streams that are open at once."""
    stale_after_secs: Annotated[float, Meta(ge=1, le=60)] = 4.0
    """Without news from the engine for this long, everything shown is marked stale."""
