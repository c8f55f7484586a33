-- Situations over cells: what an alert is about and covers, situations as they stand, and the level of every place.
ALTER TABLE alerts
    ADD COLUMN situation_id String COMMENT 'the situation behind it',
    ADD COLUMN kind LowCardinality(String) COMMENT 'crowding, traffic_shock, incident_reports, counterflow, data_loss, …',
    ADD COLUMN trend LowCardinality(String) COMMENT 'rising, steady or falling, at its last transition',
    ADD COLUMN centre LowCardinality(String) COMMENT 'grid cell where it was worst, at its last transition',
    ADD COLUMN cells Array(String) COMMENT 'all cells that it covered, at its last transition',
    ADD COLUMN findings UInt32 COMMENT 'how many findings stood behind it; evidence has the worst of them',
    ADD COLUMN follows String COMMENT 'the alert that it split off from, or that had cleared here not long before; empty when there is none',
    ADD COLUMN merged_into String COMMENT 'the older alert that it became part of; empty when it did not';

ALTER TABLE situations
    ADD COLUMN rule LowCardinality(String) COMMENT 'safety or data_health',
    ADD COLUMN begun_in LowCardinality(String) COMMENT 'grid cell where it began',
    ADD COLUMN reason LowCardinality(String) COMMENT 'why it has its level',
    ADD COLUMN highest_level Enum8('none' = 0, 'blue' = 1, 'yellow' = 2, 'orange' = 3, 'red' = 4) COMMENT 'the highest that it had',
    ADD COLUMN findings UInt32 COMMENT 'how many findings stand behind it; evidence has the worst of them',
    ADD COLUMN follows String COMMENT 'the alert that it split off from, or that had cleared here not long before; empty when there is none',
    ADD COLUMN merged_into String COMMENT 'the older situation that it became part of; empty when it did not',
    COMMENT COLUMN kind 'crowding, counterflow, traffic_shock, incident_reports, forecast, data_loss or data_doubt',
    COMMENT COLUMN level 'warning level now, none when it is over',
    COMMENT COLUMN evidence 'JSON array: the findings behind it, the worst; empty when it is over';

DROP VIEW IF EXISTS alerts_now;

CREATE VIEW alerts_now
AS SELECT *
FROM alerts FINAL
WHERE condition_state != 'cleared'
    OR handling_state NOT IN ('new', 'closed', 'reviewed')
    OR handling_state = 'new' AND merged_into = '' AND alert_id IN (SELECT alert_id FROM notices)
COMMENT 'Alerts that are not over, and those that are over but that somebody was told of or has taken and nobody has closed';

DROP VIEW IF EXISTS situation_now;

CREATE VIEW situation_now
AS SELECT *
FROM situations FINAL
WHERE state != 'cleared'
COMMENT 'Situations that are not over';

CREATE VIEW level_now
(
    place String COMMENT 'beginning of the code: district, street, community or cell',
    digits UInt8 COMMENT 'how many digits it has: 6, 9, 12, or all of a cell''s',
    level Enum8('none' = 0, 'blue' = 1, 'yellow' = 2, 'orange' = 3, 'red' = 4) COMMENT 'the worst level of a situation that is there now',
    situations UInt64 COMMENT 'how many situations are there',
    unknown UInt64 COMMENT 'of how many of them nobody knows how they go on, for their sensors are silent',
    worst String COMMENT 'one of the worst, in one sentence'
)
AS SELECT
    s.code AS place,
    toUInt8(length(s.code)) AS digits,
    max(s.now) AS level,
    uniqExact(s.situation_id) AS situations,
    uniqExactIf(s.situation_id, s.state = 'unknown') AS unknown,
    argMax(s.sentence, (s.now, s.changed_at, s.situation_id)) AS worst
FROM
(
    SELECT
        situation_id, level AS now, state, sentence, changed_at,
        arrayJoin(arrayDistinct(arrayFlatten(arrayMap(c -> arrayMap(n -> substring(c, 1, n), [6, 9, 12, 64]), cells)))) AS code
    FROM situations FINAL
    WHERE state != 'cleared' AND rule = 'safety'
) AS s
GROUP BY s.code
COMMENT 'The level of each district, street, community and cell where something is the case: levels roll up the grid''s tree';
