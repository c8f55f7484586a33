"""Shells towards the outside: ClickHouse, webhooks, and the embedded ClickHouse endpoint."""

import os

# clickhouse-driver would make a table of all days of four centuries when it is imported: a quarter of a second and
# 23 MB in each process. With this it looks days up as they come.
os.environ.setdefault("CLICKHOUSE_DRIVER_LASY_DATE_LUT", "1")
