"""Forecasters. Nothing is here yet: what lies ahead is warned of by the projected inflow alone (docs/detection.md)."""
