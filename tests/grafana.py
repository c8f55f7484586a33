"""The part of Grafana's HTTP API that we use, as its reference describes it, over real HTTP on a free port.

Sources: Grafana's HTTP API reference, pages "Dashboard", "Dashboard versions", "Annotations".
"""

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from urllib.parse import parse_qs, urlsplit

TOKEN = "glsa_made_for_this_test"


class SmallGrafana:
    """Dashboards with versions, and annotations; ``token`` opens it."""

    def __init__(self, versions_as_object: bool = True) -> None:
        self.dashboards: dict[str, dict] = {}
        self.versions: dict[str, list[dict]] = {}
        self.annotations: dict[int, dict] = {}
        self.changes = 0
        self.versions_as_object = versions_as_object
        self._ids = count(1)
        small = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *args) -> None:
                pass

            def _do(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length)) if length else None
                if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                    status, answer = 401, {"message": "Invalid API key"}
                else:
                    status, answer = small.answer(self.command, self.path, body)
                data = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PATCH = do_DELETE = _do  # noqa: N815 - the names that http.server calls

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def save(self, dashboard: dict, message: str) -> dict:
        """Save a dashboard as Grafana does: it gets an id, and a version more."""
        uid = dashboard["uid"]
        old = self.dashboards.get(uid)
        kept = {**dashboard, "id": old["id"] if old else next(self._ids), "version": old["version"] + 1 if old else 1}
        self.dashboards[uid] = kept
        self.versions.setdefault(uid, []).insert(0, {"version": kept["version"], "message": message})
        self.changes += 1
        return kept

    def answer(self, method: str, path: str, body: dict | None) -> tuple[int, object]:
        parts = urlsplit(path)
        asked = parse_qs(parts.query)
        if found := re.fullmatch(r"/api/dashboards/uid/([\w-]+)(/versions)?", parts.path):
            if found[1] not in self.dashboards:
                return 404, {"message": "Dashboard not found"}
            if found[2]:
                versions = self.versions[found[1]][: int(asked.get("limit", ["100"])[0])]
                return 200, {"continueToken": "", "versions": versions} if self.versions_as_object else versions
            return 200, {
                "meta": {"version": self.dashboards[found[1]]["version"]},
                "dashboard": self.dashboards[found[1]],
            }
        if parts.path == "/api/dashboards/db" and method == "POST":
            new, old = body["dashboard"], self.dashboards.get(body["dashboard"]["uid"])
            if old and not body["overwrite"] and new.get("version") != old["version"]:
                return 412, {"message": "The dashboard has been changed by someone else", "status": "version-mismatch"}
            kept = self.save(new, body.get("message", ""))
            return 200, {"id": kept["id"], "uid": kept["uid"], "status": "success", "version": kept["version"]}
        if parts.path == "/api/annotations" and method == "GET":
            tags = set(asked.get("tags", []))
            return 200, [one for one in self.annotations.values() if tags <= set(one["tags"])]
        if parts.path == "/api/annotations" and method == "POST":
            number = next(self._ids)
            self.annotations[number] = {"id": number, **body}
            self.changes += 1
            return 200, {"id": number, "message": "Annotation added"}
        if found := re.fullmatch(r"/api/annotations/(\d+)", parts.path):
            self.changes += 1
            if method == "DELETE":
                del self.annotations[int(found[1])]
            else:
                self.annotations[int(found[1])] |= body
            return 200, {"message": "done"}
        return 404, {"message": "Not found"}
