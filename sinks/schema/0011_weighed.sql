-- What the alarm budget said of every learned finding: also of those that nobody was told.
CREATE TABLE weighed
(
    decided_at DateTime64(3, 'UTC') COMMENT 'when the finding began, grew or was corroborated, time of the log',
    cell LowCardinality(String) COMMENT 'grid cell, or area',
    series LowCardinality(String) COMMENT 'what was unusual, kind/source/metric',
    reason LowCardinality(String) COMMENT 'told, same_situation or cool_down when it was told; too_common or too_weak_alone when it was held back',
    score Float64 COMMENT 'what the finding was worth; not told alone below 1',
    rate Float64 COMMENT 'so many findings as odd as this a quiet city would show in a week',
    limit Float64 COMMENT 'so many it might be, then, to be told',
    left Float64 COMMENT 'alarms that were left of the week',
    partners Array(String) COMMENT 'series that corroborate it',
    topic LowCardinality(String) COMMENT 'lineage: topic of the source record that decided',
    partition UInt16 COMMENT 'lineage: partition',
    offset UInt64 COMMENT 'lineage: offset'
)
ENGINE = ReplacingMergeTree
ORDER BY (cell, series, decided_at, reason, topic, partition, offset)
SETTINGS non_replicated_deduplication_window = 1000
COMMENT 'What the alarm budget said of each learned finding, told or not; written by store'
