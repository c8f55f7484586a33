"""ClickHouse's own protocols in front of one chDB engine, in a process of its own, for users of its own.

``gridbeacon clickhouse serve --data DIR``, ``python -m sinks.embedded`` or ``serve``; inside ``gridbeacon up`` too.
"""

from sinks.embedded.server import serve

__all__ = ["serve"]
