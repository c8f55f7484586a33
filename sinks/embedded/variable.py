"""How whoever starts the endpoint's process hands it the section ``clickhouse`` of the configuration."""

VARIABLE = "EMBEDDED_CLICKHOUSE_SETTINGS"
"""An environment variable with JSON: arguments could be read by every user of the machine."""
