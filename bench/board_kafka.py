"""From a record that is written to Kafka until its alert is seen: at the event stream, and drawn in a browser.

Asked for by ``python -m bench.board --kafka``. All roles run as they do live (``clock: arrival``), each in its own
process; 10,000 cameras report steadily, and a few times a second one of them sees a crush. A limit is crossed at once
(``for_secs: 0``), as in ``bench.latency``: what is measured is the way, not the waiting that limits prescribe.
"""

import asyncio
import json
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import msgspec

from bench.disturbed import Database
from bench.engine import roles, wait_for, write_config
from bench.latency import CROSSINGS_PER_SEC, SENSORS, WARM_UP_SECS, Watch, live, send
from bench.line import City, broker
from gridbeacon.config import Api, Config
from gridbeacon.errors import GridbeaconError
from sinks.migrate import migrate
from streams.embedded.ports import free_pair
from web.pages import SHOWN

ROLES = ("ingest", "detect", "situate", "notify", "store", "api")
NOWHERE = "http://127.0.0.1:9/"
WATCH = """() => {
  window.drawn = {};
  const look = () => {
    for (const one of document.querySelectorAll('#alerts a[id]')) window.drawn[one.id.slice(2)] ??= Date.now() / 1000;
  };
  new MutationObserver(look).observe(document.body, {childList: true, subtree: true});
  look();
}"""


class Listener(threading.Thread):
    """Reads the event stream of the API as another system does; ``heard`` is when each cell's alert came."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self._url = url
        self.heard: dict[str, float] = {}
        self.alert: dict[str, str] = {}

    def run(self) -> None:
        """Read until the server ends."""
        with httpx.Client(timeout=None) as client, client.stream("GET", self._url + "/api/events") as stream:
            for line in stream.iter_lines():
                if line.startswith("data: {") and '"cell"' in line:
                    said = json.loads(line.removeprefix("data: "))
                    found = said.get("alert") or said
                    if found.get("rule", "safety") == "safety":
                        self.heard.setdefault(found["cell"], time.time())
                        self.alert.setdefault(found["cell"], found["alert_id"])


def measure(city: City, rate: int, secs: float) -> tuple[list[float], list[float]]:
    """Return seconds from each crossing's record to the event stream, and to the page."""
    config = msgspec.structs.replace(live(city, NOWHERE), api=Api(port=free_pair()))
    write_config(config, city.file)
    url = f"http://127.0.0.1:{config.api.port}"
    database = Database(city.folder, config.clickhouse.port).start()
    watch = Watch()
    try:
        wait_for(lambda: _migrated(config), 60, "the database")
        with roles([city.process(role) for role in ROLES]):
            wait_for(lambda: _ready(url), 120, "the board")
            time.sleep(5)
            listener = Listener(url)
            listener.start()
            # Never more alerts than the page lists.
            per_sec = min(CROSSINGS_PER_SEC, SHOWN / max(1.0, secs - WARM_UP_SECS))
            drawn = _browse(url, lambda: asyncio.run(send(config, rate, secs, watch, per_sec)), watch)
            wait_for(lambda: watch.left.keys() <= listener.heard.keys(), 30, "the last event")
    finally:
        database.stop()
    heard = [listener.heard[cell] - left for cell, left in watch.left.items()]
    seen = [drawn[name] - left for cell, left in watch.left.items() if (name := listener.alert[cell]) in drawn]
    if len(seen) < len(heard):
        raise SystemExit(f"{len(heard) - len(seen)} of {len(heard)} alerts were never drawn")
    return heard, seen


def _browse(url: str, work: Callable[[], None], watch: Watch) -> dict[str, float]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(f"{url}/?all=1")
        page.wait_for_selector("#live.live")
        page.evaluate(WATCH)
        working = threading.Thread(target=work)
        working.start()
        while working.is_alive():
            page.wait_for_timeout(200)
        deadline = time.monotonic() + 30
        while page.evaluate("Object.keys(window.drawn).length") < len(watch.left) and time.monotonic() < deadline:
            page.wait_for_timeout(100)
        drawn: dict[str, float] = page.evaluate("window.drawn")
        browser.close()
    return drawn


def _migrated(config: Config) -> bool:
    try:
        migrate(config)
    except GridbeaconError:
        return False
    return True


def _ready(url: str) -> bool:
    try:
        return httpx.get(url + "/health", timeout=10).is_success
    except httpx.TransportError:
        return False


def run(rate: int, secs: float) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="gridbeacon-bench-") as folder, broker(Path(folder)) as node:
        heard, seen = measure(City(node, Path(folder) / "board", SENSORS), rate, secs)
    print(f"{rate:,} observations/s, every role a process, Kafka beneath")
    for what, took in (("the event stream", sorted(heard)), ("a browser", sorted(seen))):
        p50, p99 = took[len(took) // 2], took[min(len(took) - 1, int(len(took) * 0.99))]
        print(
            f"record → {what}: {len(took)} alerts, p50 {1000 * p50:.0f} ms, p99 {1000 * p99:.0f} ms, "
            f"worst {1000 * took[-1]:.0f} ms"
        )
