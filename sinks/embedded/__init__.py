"""ClickHouse's native TCP protocol in front of one chDB engine, in a process of its own, on 127.0.0.1 only.

``python -m sinks.embedded --data DIR --port N`` or ``serve``. As much of the protocol as clickhouse-driver needs.
"""

from sinks.embedded.server import HOST, serve

__all__ = ["HOST", "serve"]
