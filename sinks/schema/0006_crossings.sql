-- Limits that forecasts say will be passed: when it was said, for when, and what became of it.
CREATE TABLE crossings
(
    crossing_id String COMMENT 'hash of series, level and when it was foreseen; the same after every crash',
    version UInt32 COMMENT 'counts its changes from 1; the highest is how it stands now',
    kind LowCardinality(String) COMMENT 'crowd, traffic or events',
    metric LowCardinality(String) COMMENT 'what will pass the limit, with its unit',
    source LowCardinality(String) COMMENT 'sensor, or cell/category for counts of reports',
    grid_id LowCardinality(String) COMMENT 'unit grid cell',
    level Enum8('none' = 0, 'blue' = 1, 'yellow' = 2, 'orange' = 3, 'red' = 4) COMMENT 'the level whose limit it is',
    threshold Float64 COMMENT 'the limit, in the unit of the metric',
    tier LowCardinality(String) COMMENT 'watch: the upper end of the 80 % band passes it; warning: the point forecast does',
    made_at DateTime64(3, 'UTC') COMMENT 'when it was first foreseen (event time)',
    warned_at Nullable(DateTime64(3, 'UTC')) COMMENT 'when it first was a warning; NULL when it never was',
    first_expected_at DateTime64(3, 'UTC') COMMENT 'for when it was foreseen at first',
    expected_at DateTime64(3, 'UTC') COMMENT 'for when it was foreseen at last',
    expected_from DateTime64(3, 'UTC') COMMENT 'begin of the time that holds it in four of five cases',
    expected_until Nullable(DateTime64(3, 'UTC')) COMMENT 'end of it; NULL when that lies beyond the forecast',
    probability Float64 COMMENT '0 to 1, that the limit is passed at all',
    model LowCardinality(String) COMMENT 'which model foresaw it: prophet_batch, prophet or profile',
    outcome Enum8('open' = 0, 'came_true' = 1, 'withdrawn' = 2) COMMENT 'what became of it',
    reason LowCardinality(String) COMMENT 'why: forecast_watch, forecast_warning, forecast_came_true, forecast_faded, forecast_overdue or forecast_lost',
    ended_at Nullable(DateTime64(3, 'UTC')) COMMENT 'when it came true or was withdrawn; NULL while it is open',
    lead_secs Nullable(Float64) COMMENT 'from when it was foreseen until it came true; NULL unless it did',
    warning_lead_secs Nullable(Float64) COMMENT 'from when it was a warning until it came true; NULL unless both'
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(made_at)
ORDER BY (kind, metric, source, made_at, level, crossing_id)
SETTINGS non_replicated_deduplication_window = 1000
COMMENT 'Limits that forecasts say will be passed, as they stand; written by store';

ALTER TABLE forecasts MODIFY COMMENT 'What was expected of each series, how far ahead, and by which model; written by store';

ALTER TABLE forecast_audit MODIFY COMMENT 'Random series, fitted again with stock Prophet each night; written by store';

-- An alert has been warned of when its place was foreseen to pass a limit, and did. The earliest word of it counts.
CREATE VIEW warned
(
    alert_id String COMMENT 'the alert',
    cell LowCardinality(String) COMMENT 'grid cell',
    highest_level Enum8('none' = 0, 'blue' = 1, 'yellow' = 2, 'orange' = 3, 'red' = 4) COMMENT 'the highest that the alert had',
    opened_at DateTime64(3, 'UTC') COMMENT 'when the alert began',
    crossing_id String COMMENT 'the crossing that came true',
    level Enum8('none' = 0, 'blue' = 1, 'yellow' = 2, 'orange' = 3, 'red' = 4) COMMENT 'the level that was foreseen',
    tier LowCardinality(String) COMMENT 'watch or warning: what it was when it came true',
    made_at DateTime64(3, 'UTC') COMMENT 'when it was first foreseen',
    came_true_at DateTime64(3, 'UTC') COMMENT 'when the limit was passed',
    lead_minutes Float64 COMMENT 'from when it was foreseen until the limit was passed',
    warning_lead_minutes Nullable(Float64) COMMENT 'from when it was a warning; NULL when it was a watch alone',
    error_minutes Float64 COMMENT 'how much later it came than was said at first; below 0 sooner'
)
AS SELECT
    a.alert_id, a.cell, a.highest_level, a.opened_at, c.crossing_id, c.level, c.tier, c.made_at,
    assumeNotNull(c.ended_at) AS came_true_at,
    assumeNotNull(c.lead_secs) / 60 AS lead_minutes,
    c.warning_lead_secs / 60 AS warning_lead_minutes,
    dateDiff('second', c.first_expected_at, came_true_at) / 60 AS error_minutes
FROM (SELECT * FROM crossings FINAL WHERE outcome = 'came_true') AS c
INNER JOIN (SELECT alert_id, cell, highest_level, opened_at, ifNull(cleared_at, changed_at) AS last_at FROM alerts FINAL WHERE rule = 'safety') AS a
    ON a.cell = c.grid_id
WHERE c.ended_at BETWEEN a.opened_at - INTERVAL 1 HOUR AND a.last_at + INTERVAL 15 MINUTE
COMMENT 'Each alert that came true beside the forecast that foresaw it, with its lead time';
