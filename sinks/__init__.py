"""Shells towards the outside: ClickHouse, webhooks, and the embedded ClickHouse endpoint."""
