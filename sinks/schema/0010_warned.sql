-- An alert covers several cells: a crossing in any of them is one that it was warned by.
DROP VIEW IF EXISTS warned;

CREATE VIEW warned
(
    alert_id String COMMENT 'the alert',
    cell LowCardinality(String) COMMENT 'grid cell whose limit was passed',
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
    a.alert_id, c.grid_id AS cell, a.highest_level, a.opened_at, c.crossing_id, c.level, c.tier, c.made_at,
    assumeNotNull(c.ended_at) AS came_true_at,
    assumeNotNull(c.lead_secs) / 60 AS lead_minutes,
    c.warning_lead_secs / 60 AS warning_lead_minutes,
    dateDiff('second', c.first_expected_at, came_true_at) / 60 AS error_minutes
FROM (SELECT * FROM crossings FINAL WHERE outcome = 'came_true') AS c
INNER JOIN
(
    SELECT alert_id, place, highest_level, opened_at, ifNull(cleared_at, changed_at) AS last_at
    FROM alerts FINAL
    ARRAY JOIN arrayDistinct(arrayPushBack(cells, toString(cell))) AS place
    WHERE rule = 'safety'
) AS a
    ON a.place = c.grid_id
WHERE c.ended_at BETWEEN a.opened_at - INTERVAL 1 HOUR AND a.last_at + INTERVAL 15 MINUTE
COMMENT 'Each alert that came true beside the forecast that foresaw it, with its lead time';
