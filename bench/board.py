"""The board under load: how soon it is usable, how soon an event is seen, how many viewers one core serves, its weight.

    python -m bench.board [--cells 5000] [--alerts 200] [--viewers 200] [--events 100]
    python -m bench.board --kafka [--rate 1000] [--secs 40]

The server runs in a process of its own; its CPU time is what is told. "First page usable" is the load event of a real
browser (Chromium) with map and alerts drawn, a fresh profile each time. "Event seen" is from the moment at which the
transition enters the view until a browser has drawn it. Viewers hold the board's stream open and fetch the page's parts
at each word of it, as browsers do. Beside it, in the same run: a server of the same library that answers the same bytes
from memory, which is what the library itself takes. ``--kafka`` is ``bench.board_kafka``: the whole engine.
"""

import argparse
import asyncio
import gzip
import multiprocessing
import shutil
import statistics
import time
from multiprocessing.connection import Connection
from typing import Any

import httpx
import psutil

from bench import board_kafka
from gridbeacon.config import Api, ClickHouse, Config
from gridbeacon.demo.fixture.plan import START_MS, TIMEZONE, Size, camera, code, registry
from gridbeacon.reasons import Level
from tests.board import Served, situation
from tests.servers import free_port

NOW = START_MS + 19 * 3_600_000
LEVELS = (Level.BLUE, Level.BLUE, Level.BLUE, Level.YELLOW, Level.YELLOW, Level.ORANGE)


def serve(cells: int, alerts: int, told: Connection) -> None:
    """Serve a city with open alerts, and let an alert begin or end at each word (a cell, and whether it is red)."""
    size = Size(sensors=2 * cells)
    config = Config(timezone=TIMEZONE, clickhouse=ClickHouse(port=free_port()), api=Api(max_streams=5000))
    with Served(config, registry(size)) as served:
        for number in range(alerts):
            cell = code(number * (cells // alerts))
            level = LEVELS[number % len(LEVELS)]
            served.tell(
                cell, situation(cell, level, source=camera(number), value=float(level) + 1.2), NOW - number * 60_000
            )
        served.start_clock(NOW)
        told.send(served.url)
        while (word := told.recv()) is not None:
            cell, red = word
            began = time.time()
            served.tell(cell, situation(cell, Level.RED, value=5.4) if red else None, NOW)
            told.send((began, served.log.alerts[cell, "safety"].alert_id if red else ""))
        served.stop_clock()


def pages(url: str) -> dict[str, float]:
    """Return what the first page and everything that it needs weigh, in kB, as sent and unpacked."""
    sent = plain = 0
    with httpx.Client(headers={"accept-encoding": "gzip"}) as client:
        for path in ("/", "/static/board.css", "/static/board.js", "/static/icon.svg"):
            with client.stream("GET", url + path) as answer:
                raw = b"".join(answer.iter_raw())
            packed = answer.headers.get("content-encoding") == "gzip"
            sent += len(raw)
            plain += len(gzip.decompress(raw)) if packed else len(raw)
    return {"sent_kb": sent / 1000, "plain_kb": plain / 1000}


def browse(url: str, told: Connection, cells: int, alerts: int, events: int) -> tuple[list[float], list[float]]:
    """Return the seconds until the first page was usable, and from each event until it was seen."""
    from playwright.sync_api import sync_playwright

    usable, seen = [], []
    free = [number for number in reversed(range(cells)) if number % (cells // alerts)]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for _ in range(7):
            context = browser.new_context()
            page = context.new_page()
            began = time.perf_counter()
            page.goto(url, wait_until="load")
            page.wait_for_selector("#alerts li:nth-child(60)")
            page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
            usable.append(time.perf_counter() - began)
            context.close()
        page = browser.new_context().new_page()
        page.goto(url)
        page.wait_for_selector("#live.live")
        watch = """() => new MutationObserver(() => {
          for (const one of document.querySelectorAll('#alerts a[id]')) window.drawn[one.id] ??= Date.now() / 1000;
        }).observe(document.body, {childList: true, subtree: true})"""
        page.evaluate("window.drawn = {}")
        page.evaluate(watch)
        for number in free[:events]:
            told.send((code(number), True))
            began, alert = told.recv()
            while (drawn := page.evaluate(f"window.drawn['a-{alert}'] ?? 0")) == 0 and time.time() < began + 30:
                time.sleep(0.01)
            seen.append(drawn - began if drawn else 30.0)
            told.send((code(number), False))  # the page lists the sixty most urgent ones
            told.recv()
            time.sleep(0.05)
        browser.close()
    return usable, seen


class Viewer:
    """One open board: its stream, and a connection on which it fetches the parts that changed. Plain sockets, for two
    hundred of them must not be what is measured."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self.delays: list[float] = []
        self.connected = asyncio.Event()

    async def watch(self) -> None:
        """Watch until cancelled."""
        reader, writer = await asyncio.open_connection(self._host, self._port)
        await self._ask(writer, "/stream")
        self._fetch = await asyncio.open_connection(self._host, self._port)
        rev = -1
        while line := await reader.readline():
            if not line.startswith(b"data: "):
                continue
            self.connected.set()
            now = int(line.partition(b'"rev":')[2].partition(b",")[0])
            if now != rev:
                rev = now
                began = time.perf_counter()
                await self._get(f"/?fragment=1&rev={rev}")
                self.delays.append(time.perf_counter() - began)
        raise RuntimeError("the stream has ended")

    async def _ask(self, writer: asyncio.StreamWriter, path: str) -> None:
        host = f"Host: {self._host}:{self._port}"
        writer.write(f"GET {path} HTTP/1.1\r\n{host}\r\nAccept-Encoding: gzip\r\n\r\n".encode())
        await writer.drain()

    async def _get(self, path: str) -> None:
        reader, writer = self._fetch
        await self._ask(writer, path)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        if not head.startswith(b"http/1.1 200"):
            raise RuntimeError(head.decode())
        await reader.readexactly(int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0]))


async def view(
    url: str, viewers: int, secs: float, told: Connection, cells: int, process: psutil.Process
) -> dict[str, float]:
    """Return what viewers saw while an alert changes every second, and the share of one core that serving them took."""
    host, _, port = url.removeprefix("http://").partition(":")
    boards = [Viewer(host, int(port)) for _ in range(viewers)]
    watching = [asyncio.create_task(board.watch()) for board in boards]
    await asyncio.gather(*(board.connected.wait() for board in boards))
    await asyncio.sleep(1)
    before, began = sum(process.cpu_times()[:2]), time.perf_counter()
    for board in boards:
        board.delays.clear()
    number = 0
    while time.perf_counter() - began < secs:
        told.send((code(cells // 2 + number), True))
        await asyncio.to_thread(told.recv)
        number += 1
        await asyncio.sleep(1)
    spent, lasted = sum(process.cpu_times()[:2]) - before, time.perf_counter() - began
    failed = sum(task.done() for task in watching)
    for task in watching:
        task.cancel()
    await asyncio.gather(*watching, return_exceptions=True)
    delays = [delay for board in boards for delay in board.delays]
    return {
        "core": spent / lasted,
        "fetches_per_sec": len(delays) / lasted,
        "fetch_p99_s": quantile(delays, 0.99),
        "failed": float(failed),
    }


def quantile(values: list[float], share: float) -> float:
    """Return a quantile of values."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] if values else float("nan")


def plain(body: bytes, told: Connection) -> None:
    """Serve these bytes with the library alone."""
    import uvicorn
    from starlette.applications import Starlette
    from starlette.responses import Response
    from starlette.routing import Route

    async def answer(_: Any) -> Response:
        return Response(body, headers={"content-encoding": "gzip"}, media_type="text/html")

    port = free_port()
    told.send(f"http://127.0.0.1:{port}")
    uvicorn.run(Starlette(routes=[Route("/", answer)]), port=port, log_config=None)


def rate(url: str, secs: float = 3.0) -> float:
    """Return how often a second one connection gets a page."""
    with httpx.Client(headers={"accept-encoding": "gzip"}) as client:
        began, count = time.perf_counter(), 0
        while time.perf_counter() - began < secs:
            client.get(url).raise_for_status()
            count += 1
    return count / secs


def main() -> None:
    """Measure and print."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--cells", type=int, default=5000)
    asked.add_argument("--alerts", type=int, default=200)
    asked.add_argument("--viewers", type=int, default=200)
    asked.add_argument("--events", type=int, default=100)
    asked.add_argument("--secs", type=float, default=20.0)
    asked.add_argument("--kafka", action="store_true", help="from a record in Kafka until its alert is seen")
    asked.add_argument("--rate", type=int, default=1000, help="with --kafka: observations a second")
    given = asked.parse_args()
    if given.kafka:
        board_kafka.run(given.rate, given.secs)
        return
    here, there = multiprocessing.Pipe()
    server = multiprocessing.Process(target=serve, args=(given.cells, given.alerts, there), daemon=True)
    server.start()
    url = here.recv()
    process = psutil.Process(server.pid)
    weight = pages(url)
    print(f"{given.cells} cells, {given.alerts} open alerts")
    print(f"first page with all that it needs: {weight['sent_kb']:.0f} kB sent, {weight['plain_kb']:.0f} kB unpacked")
    usable, seen = browse(url, here, given.cells, given.alerts, given.events)
    print(f"first page usable: median {statistics.median(usable):.2f} s, worst of {len(usable)} {max(usable):.2f} s")
    print(f"event seen in a browser: p50 {quantile(seen, 0.5) * 1000:.0f} ms, p99 {quantile(seen, 0.99) * 1000:.0f} ms")
    found = asyncio.run(view(url, given.viewers, given.secs, here, given.cells, process))
    print(
        f"{given.viewers} viewers, an alert a second: {found['core'] * 100:.0f} % of one core, "
        f"{found['fetches_per_sec']:.0f} fetches/s, p99 {found['fetch_p99_s'] * 1000:.0f} ms, "
        f"{found['failed']:.0f} failed"
    )
    ours = rate(f"{url}/?fragment=1&rev=0")
    body = gzip.compress(httpx.get(f"{url}/?fragment=1").content)
    mine, other = multiprocessing.Pipe()
    bare = multiprocessing.Process(target=plain, args=(body, other))
    bare.start()
    bare_url = mine.recv()
    time.sleep(1.5)
    base = rate(bare_url)
    print(f"one connection: {ours:.0f} pages/s; the same bytes by the library alone: {base:.0f} ({ours / base:.2f})")
    bare.terminate()
    here.send(None)
    server.join(20)
    server.kill()


if __name__ == "__main__":
    main()
