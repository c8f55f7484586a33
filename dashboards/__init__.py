"""Grafana dashboards as code. Nothing is here yet: what is stored is read with SQL (docs/tables.md)."""
