"""The way to a Grafana that runs elsewhere: dashboards that are put there, and alerts that are marked on its graphs.

The client, ``grafana-client``, is an optional extra and is met in this file alone. It stays below version 4, which
would put another urllib3 in the place of everybody's.
"""

import difflib
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal
from urllib.parse import urlsplit

from gridbeacon.config import Config
from gridbeacon.errors import ConfigError, GridbeaconError, Transient, UsageError
from gridbeacon.reasons import Level
from sinks.clickhouse import query

TIMEOUT_SECS = 15.0
MARK = "gridbeacon"
"""Messages of versions and tags of annotations that are ours begin with it."""
MOST = 5000
"""Annotations that are looked at; more do not stand on any graph."""
Outcome = Literal["made", "updated", "current"]
_ALERTS = """
SELECT alert_id, toUnixTimestamp64Milli(opened_at), toUnixTimestamp64Milli(cleared_at), toString(highest_level),
       headline
FROM alerts FINAL
WHERE changed_at > now() - toIntervalDay(%(days)s) AND toInt8(highest_level) >= %(level)s AND mode = 'live'
ORDER BY opened_at DESC
LIMIT %(most)s
"""


class Changed(UsageError):
    """A dashboard was changed by hand; the text holds the difference."""


class Grafana:
    """One Grafana, reached with the token of a service account. Whatever goes wrong is one sentence."""

    def __init__(self, url: str, token: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(f"--url {url} is no address of a Grafana; write it as https://grafana.example.org")
        try:
            from grafana_client import GrafanaApi
        except ImportError as error:
            raise UsageError(
                "the package grafana-client is not installed; install it with Gridbeacon: pip install '.[grafana]'"
            ) from error
        self._where = f"Grafana at {parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
        self._api = GrafanaApi.from_url(url, token.strip(), timeout=TIMEOUT_SECS)

    def put(self, text: str, folder: str, *, force: bool) -> Outcome:
        """Put a dashboard's JSON there, unless it is there already; nobody's changes are lost.

        Raises ``Changed`` when the last version there is not one that we put there; ``force`` puts ours over it.
        """
        new = json.loads(text)
        uid, message = new["uid"], f"{MARK} {hashlib.sha256(text.encode()).hexdigest()[:16]}"
        found = self._get(f"/dashboards/uid/{uid}")
        if found is not None:
            last = self._last_message(uid)
            if last == message:
                return "current"
            if not force and not last.startswith(f"{MARK} "):
                raise Changed(self._difference(found["dashboard"], new, last))
            new |= {"id": found["dashboard"].get("id"), "version": found["dashboard"].get("version")}
        asked = {"dashboard": new, "message": message, "overwrite": False, "folderUid": folder}
        with self._said():
            self._api.dashboard.update_dashboard(asked)
        return "made" if found is None else "updated"

    def mark(self, config: Config, days: int, least: Level) -> dict[str, int]:
        """Make the annotations there equal to the alerts of the last days; return how many were made, changed, gone.

        An alert's annotation is found by a tag with its id: run again, or after a crash, nothing is marked twice.
        """
        alerts = query(config, _ALERTS, {"days": days, "level": int(least), "most": MOST})
        there: dict[str, dict[str, Any]] = {}
        done = {"made": 0, "updated": 0, "removed": 0, "current": 0}
        with self._said():
            for one in self._api.annotations.get_annotation(tags=[MARK], limit=MOST):
                if (alert := _alert_of(one)) in there:  # marked twice by two of us at the same moment
                    self._api.annotations.delete_annotations_by_id(one["id"])
                    done["removed"] += 1
                else:
                    there[alert] = one
            for row in alerts:
                region = _region(*row)
                old = there.pop(row[0], None)
                if old is None:
                    self._api.client.POST("/annotations", json=region)
                    done["made"] += 1
                elif any(old.get(key) != value for key, value in region.items() if key != "tags") or (
                    sorted(old["tags"]) != sorted(region["tags"])
                ):
                    self._api.client.PATCH(f"/annotations/{old['id']}", json=region)
                    done["updated"] += 1
                else:
                    done["current"] += 1
        return done

    def _get(self, path: str) -> Any:
        """Return what is there, or None when there is nothing."""
        from grafana_client.client import GrafanaClientError

        with self._said():
            try:
                return self._api.client.GET(path)
            except GrafanaClientError as error:
                if error.status_code == 404:
                    return None
                raise

    def _last_message(self, uid: str) -> str:
        found = self._get(f"/dashboards/uid/{uid}/versions?limit=1") or []
        versions = found.get("versions", []) if isinstance(found, dict) else found
        return str(versions[0].get("message") or "") if versions else ""

    def _difference(self, there: Mapping[str, Any], new: Mapping[str, Any], last: str) -> str:
        before, after = (_lines(one) for one in (there, new))
        lines = list(difflib.unified_diff(before, after, "in Grafana", "ours", lineterm="", n=1))
        shown = "\n".join(lines[:200]) + (f"\n… {len(lines) - 200} more lines" if len(lines) > 200 else "")
        why = f"its last change says {last!r}" if last else "its last change is not ours"
        return (
            f"{self._where}: the dashboard {new['title']!r} was changed by hand ({why}); save a copy of it there and "
            f"run again with --force, or keep it as it is\n{shown}"
        )

    @contextmanager
    def _said(self) -> Iterator[None]:
        """Turn whatever the client raises into one of our errors."""
        from grafana_client.client import GrafanaException
        from requests.exceptions import RequestException

        try:
            yield
        except RequestException as error:
            raise Transient(f"{self._where} can't be reached; check --url, or start it") from error
        except GrafanaException as error:
            if error.status_code in (401, 403):
                raise ConfigError(
                    f"{self._where} refuses the token ({error.status_code}); give the token of a service account with "
                    "the role Editor in --token-file"
                ) from error
            if error.status_code == 412:
                raise Transient(f"{self._where}: somebody saved the same dashboard just now; run again") from error
            raise GridbeaconError(f"{self._where} answered {error.status_code}: {error.message[:300]}") from error


def _region(alert: str, begin_ms: int, end_ms: int | None, level: str, headline: str) -> dict[str, Any]:
    # An alert that stands has no end yet: a region of no length, which grows when it is over.
    end = begin_ms if end_ms is None else end_ms
    return {"time": begin_ms, "timeEnd": end, "tags": [MARK, f"alert:{alert}", level], "text": headline}


def _alert_of(annotation: Mapping[str, Any]) -> str:
    tags: Iterable[str] = annotation.get("tags") or ()
    return next((tag.removeprefix("alert:") for tag in tags if tag.startswith("alert:")), "")


def _lines(dashboard: Mapping[str, Any]) -> list[str]:
    own = {key: value for key, value in dashboard.items() if key not in ("id", "version")}
    return json.dumps(own, indent=1, ensure_ascii=False, sort_keys=True).splitlines()
