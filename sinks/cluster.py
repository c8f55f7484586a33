"""The same schema on a cluster: each table replicated under its name with ``_local``, and sharded under its own name.

Rows that FINAL must merge share a shard: the sharding key is always a part of the sorting key.
"""

import re

SHARD_BY = {
    "observations": "kind, metric, source",
    "observations_15m_points": "kind, metric, source",
    "grid_events": "grid_id",
    "alerts": "alert_id",
    "alert_events": "alert_id",
    "notices": "alert_id",
    "deliveries": "alert_id",
    "silences": "silence_id",
    "dead_letters": "topic, partition",
    "forecasts": "kind, metric, source",
    "crossings": "kind, metric, source",
    "forecast_audit": "kind, metric, source",
    "situations": "situation_id",
    "weighed": "cell",
    "places": "grid_id",
    "sensors": "source",
    "announced": "name",
    "schema_migrations": "number",
}
"""By which columns the rows of each table are spread over the shards."""
_LOCAL = "_local"
_NAMES = "|".join(sorted(SHARD_BY, key=len, reverse=True))
_TABLE = re.compile(r"^CREATE TABLE (?P<if>IF NOT EXISTS )?(?P<name>\w+)")
_ENGINE = re.compile(r"\bENGINE = (?P<kind>\w*MergeTree)(?:\((?P<arguments>[^)]*)\))?")


def on_cluster(statement: str, cluster: str, database: str) -> list[str]:
    """Return the statements that do on every node of a cluster what ``statement`` does on one server."""
    if found := _TABLE.match(statement):
        name = found["name"]
        local = _TABLE.sub(f"CREATE TABLE {found['if'] or ''}{name}{_LOCAL} ON CLUSTER {cluster}", statement, count=1)
        local = local.replace("non_replicated_deduplication_window", "replicated_deduplication_window")
        path = f"'/clickhouse/tables/{{shard}}/{database}/{name}{_LOCAL}', '{{replica}}'"
        local = _ENGINE.sub(lambda e: f"ENGINE = Replicated{e['kind']}({_and(path, e['arguments'])})", local, count=1)
        spread = (
            f"CREATE TABLE {found['if'] or ''}{name} ON CLUSTER {cluster} AS {name}{_LOCAL} "
            f"ENGINE = Distributed('{cluster}', '{database}', '{name}{_LOCAL}', cityHash64({SHARD_BY[name]}))"
        )
        return [local, spread]
    if found := re.match(r"ALTER TABLE (\w+)", statement):
        local = f"ALTER TABLE {found[1]}{_LOCAL} ON CLUSTER {cluster}{statement[found.end() :]}"
        if "ADD COLUMN" in statement:  # the table that spreads them has the columns, but neither codecs nor an order
            bare = re.sub(r" CODEC\((?:[^()]|\([^()]*\))*\)", "", statement)
            bare = re.sub(r",\s*MODIFY ORDER BY \([^)]*\)", "", bare)
            return [local, f"ALTER TABLE {found[1]} ON CLUSTER {cluster}{bare[found.end() :]}"]
        if "MODIFY COMMENT" not in statement:
            return [local]
        return [local, f"ALTER TABLE {found[1]} ON CLUSTER {cluster}{statement[found.end() :]}"]
    if statement.startswith("DROP VIEW"):
        return [f"{statement} ON CLUSTER {cluster}"]
    if statement.startswith("CREATE MATERIALIZED VIEW"):  # each node fills its own from its own
        statement = re.sub(rf"\b(TO|FROM) ({_NAMES})\b", rf"\1 \2{_LOCAL}", statement)
    else:  # each side of a join, and each set, is gathered from all shards first
        statement = re.sub(r"\b(LEFT|INNER) JOIN\b", r"GLOBAL \1 JOIN", statement)
        statement = re.sub(r"\bIN(?=\s*\(\s*SELECT\b)", "GLOBAL IN", statement)
    named = r"^(CREATE (?:MATERIALIZED VIEW|VIEW|DICTIONARY) (?:IF NOT EXISTS )?\w+)"
    return [re.sub(named, rf"\1 ON CLUSTER {cluster}", statement, count=1)]


def _and(path: str, arguments: str | None) -> str:
    return f"{path}, {arguments}" if arguments else path
