"""What ``up`` tells its user: what is being done, what runs where, what ended and came back."""

import sys
import time
from pathlib import Path

from gridbeacon.cli.setup import prepared
from gridbeacon.config import Config
from sinks.clickhouse import where
from streams.kafka import bootstrap
from streams.run_file import read


def board_address(config: Config) -> str:
    """Return where a browser on this machine finds the board; empty when it is not served."""
    api = config.api
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(
        api.listen, f"[{api.listen}]" if ":" in api.listen else api.listen
    )
    return f"http{'s' if api.tls_cert_file else ''}://{host}:{api.port}/" if api.port else ""


class House:
    """Prints the events of a supervisor as lines, and one screen when all is up."""

    def __init__(self, config: Config, folder: Path, *, quiet: bool = False) -> None:
        self._config = config
        self._files = folder  # of the configuration: names of registry files are relative to it
        self._quiet = quiet
        self._began = time.monotonic()

    def prepare(self) -> list[str]:
        """Make the schema and store the registry; return what was changed."""
        return prepared(self._config, self._files)

    def tell(self, kind: str, name: str, detail: str) -> None:
        """Take one event of the supervisor."""
        if kind == "ready":
            secs = time.monotonic() - self._began
            if not self._quiet:
                self._say(self.screen(secs))
        elif kind in ("ended", "restarted", "failed"):
            self._say(f"{name} {kind}: {detail}")
        elif kind in ("stopping", "stopped") and not self._quiet:
            self._say("stopping, in order …" if kind == "stopping" else "stopped; nothing is left running")
        elif kind == "started" and not self._quiet:
            self._say(f"{name} serves at {detail}")

    def screen(self, secs: float) -> str:
        """Return one screen that says what runs where."""
        config = self._config
        folder = Path(config.data_dir).absolute()
        host, port = where(config)
        run = read(folder)
        pids = {name: child.pid for name, child in run.children.items()} if run is not None else {}
        lines = [
            "",
            f"Gridbeacon is up after {secs:.1f} s",
            f"  Kafka        {bootstrap(config)}   topics {', '.join(self._sources())}",
            f"  ClickHouse   {host}:{port}   database {config.clickhouse.database}{self._http()}",
            f"  board        {self._board()}",
            f"  data, logs   {folder}",
            "  processes    " + "  ".join(f"{name} {pid}" for name, pid in pids.items()),
            f"  webhooks     {', '.join(hook.name for hook in config.notify.webhooks) or 'none configured'}",
            "Next: send records to the topics, or `gridbeacon replay FILE`; look at the board, or with",
            "`gridbeacon status` and `gridbeacon alerts list`. Ctrl-C ends everything in order.",
            "",
        ]
        return "\n".join(lines)

    def _board(self) -> str:
        return board_address(self._config) or "not served (api.port is 0)"

    def _http(self) -> str:
        clickhouse = self._config.clickhouse
        embedded = clickhouse.host == "embedded"
        return f"   HTTP {clickhouse.listen}:{clickhouse.http_port}" if embedded and clickhouse.http_port else ""

    def _sources(self) -> list[str]:
        from streams.topics import SOURCES

        return [self._config.topics.prefix + name for name in SOURCES]

    def _say(self, text: str) -> None:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
