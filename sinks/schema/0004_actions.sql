-- People act: who has an alert, what they did and what was refused, and the silences that they set.
ALTER TABLE alerts
    ADD COLUMN assignee LowCardinality(String) COMMENT 'who has it; empty when nobody was named',
    ADD COLUMN disposition LowCardinality(String) COMMENT 'the last feedback of people: ANOMALY, NOT_ANOMALY, …; empty when there was none',
    ADD COLUMN closed_at Nullable(DateTime64(3, 'UTC')) COMMENT 'when it was closed; NULL while it is not',
    ADD COLUMN reopens String COMMENT 'the closed alert that goes on as this one; empty when there is none';

-- Refusals and repeats of a notice change no version: the action is a part of what makes a row another one.
ALTER TABLE alert_events
    ADD COLUMN action_id String COMMENT 'the action of a person, or the repeat of a notice, that made the row; empty for transitions of the engine',
    MODIFY ORDER BY (alert_id, version, action_id);

ALTER TABLE alert_events
    ADD COLUMN action LowCardinality(String) COMMENT 'what a person asked for: acknowledge, close, silence, …; empty for the engine',
    ADD COLUMN role LowCardinality(String) COMMENT 'dispatcher, officer or admin; empty for the engine',
    ADD COLUMN source LowCardinality(String) COMMENT 'by which door: cli, api or webhook; empty for the engine',
    ADD COLUMN assignee LowCardinality(String) COMMENT 'to whom it was given; empty when to nobody',
    ADD COLUMN disposition LowCardinality(String) COMMENT 'what feedback said; empty when it was none',
    ADD COLUMN refusal LowCardinality(String) COMMENT 'why a person''s action changed nothing; empty when it did',
    COMMENT COLUMN alert_id 'the alert; for silences the silence',
    COMMENT COLUMN version 'number of the transition; a refusal and a repeat have that of the alert as it stood; 0 when there is no such alert',
    COMMENT COLUMN event 'opened, level_raised, cleared, acknowledged, closed, refused, escalated, …';

CREATE TABLE silences
(
    silence_id String COMMENT 'the silence',
    version UInt32 COMMENT '1 when it began, 2 when it was ended before its time',
    owner LowCardinality(String) COMMENT 'who answers for it',
    reason String COMMENT 'why, in words',
    starts_at DateTime64(3, 'UTC') COMMENT 'from when on',
    ends_at DateTime64(3, 'UTC') COMMENT 'until when',
    cells LowCardinality(String) COMMENT 'begin of the code of the cells that it is about; empty for all',
    rule LowCardinality(String) COMMENT 'safety or data_health; empty for both',
    up_to Enum8('none' = 0, 'blue' = 1, 'yellow' = 2, 'orange' = 3, 'red' = 4) COMMENT 'the highest level that it hides',
    source LowCardinality(String) COMMENT 'by which door it came: cli or api'
)
ENGINE = ReplacingMergeTree(version)
ORDER BY silence_id
SETTINGS non_replicated_deduplication_window = 1000
COMMENT 'Where people did not want to hear of new alerts; written by store';

DROP VIEW IF EXISTS alerts_now;

CREATE VIEW alerts_now
AS SELECT *
FROM alerts FINAL
WHERE condition_state != 'cleared'
    OR handling_state NOT IN ('new', 'closed', 'reviewed')
    OR handling_state = 'new' AND alert_id IN (SELECT alert_id FROM notices)
COMMENT 'Alerts that are not over, and those that are over but that somebody was told of or has taken and nobody has closed';

DROP VIEW IF EXISTS alert_review;

CREATE VIEW alert_review
(
    alert_id String COMMENT 'the alert',
    rule LowCardinality(String) COMMENT 'safety or data_health',
    area LowCardinality(String) COMMENT 'first digits of the cell',
    cell LowCardinality(String) COMMENT 'grid cell',
    place String COMMENT 'name of the cell; empty when the registry has none',
    highest_level Enum8('none' = 0, 'blue' = 1, 'yellow' = 2, 'orange' = 3, 'red' = 4) COMMENT 'the highest it had',
    mode LowCardinality(String) COMMENT 'live, replay, exercise or test',
    opened_at DateTime64(3, 'UTC') COMMENT 'when it began',
    cleared_at Nullable(DateTime64(3, 'UTC')) COMMENT 'when the condition was over; NULL while it is not',
    minutes Nullable(Float64) COMMENT 'how long it lasted',
    transitions UInt64 COMMENT 'how often it changed',
    notices UInt64 COMMENT 'how often dispatchers were told',
    escalations UInt64 COMMENT 'how often because nobody had acknowledged in time',
    raised_after_minutes Nullable(Float64) COMMENT 'from its begin to its highest level',
    acknowledged_after_minutes Nullable(Float64) COMMENT 'from its begin until somebody took it; NULL when nobody did',
    dispatched_after_minutes Nullable(Float64) COMMENT 'until somebody was sent',
    resolved_after_minutes Nullable(Float64) COMMENT 'until it was resolved',
    closed_after_minutes Nullable(Float64) COMMENT 'until it was closed',
    handling_state LowCardinality(String) COMMENT 'new to reviewed: what people did',
    assignee LowCardinality(String) COMMENT 'who had it last',
    disposition String COMMENT 'the last feedback of people: ANOMALY, NOT_ANOMALY, …; empty when there was none',
    reopens String COMMENT 'the closed alert that goes on as this one; empty when there is none',
    headline String COMMENT 'one sentence'
)
AS SELECT
    a.alert_id, a.rule, a.area, a.cell,
    dictGetOrDefault('{database}.place', 'name', toString(a.cell), '') AS place,
    a.highest_level, a.mode, a.opened_at, a.cleared_at,
    dateDiff('second', a.opened_at, a.cleared_at) / 60 AS minutes,
    e.transitions, e.notices, e.escalations,
    dateDiff('second', a.opened_at, e.raised_at) / 60 AS raised_after_minutes,
    dateDiff('second', a.opened_at, e.acknowledged_at) / 60 AS acknowledged_after_minutes,
    dateDiff('second', a.opened_at, e.dispatched_at) / 60 AS dispatched_after_minutes,
    dateDiff('second', a.opened_at, e.resolved_at) / 60 AS resolved_after_minutes,
    dateDiff('second', a.opened_at, a.closed_at) / 60 AS closed_after_minutes,
    a.handling_state, a.assignee, a.disposition, a.reopens, a.headline
FROM alerts AS a FINAL
LEFT JOIN
(
    SELECT
        alert_id,
        uniqExact(version) AS transitions,
        uniqExactIf(notice_id, notice_id != '') AS notices,
        uniqExactIf(action_id, event IN ('escalated', 'repeated')) AS escalations,
        argMin(at, (-toInt8(level_to), version)) AS raised_at,
        minIf(toNullable(at), handling_from = 'new' AND handling_to != 'new' AND action != '') AS acknowledged_at,
        minIf(toNullable(at), handling_to = 'dispatched') AS dispatched_at,
        minIf(toNullable(at), handling_to = 'resolved') AS resolved_at
    FROM alert_events
    WHERE version > 0
    GROUP BY alert_id
) AS e ON e.alert_id = a.alert_id
COMMENT 'Each alert with what became of it';

DROP VIEW IF EXISTS response_times;

CREATE VIEW response_times
(
    area LowCardinality(String) COMMENT 'first digits of the cell',
    hour UInt8 COMMENT 'hour of the day at which alerts opened, in the city''s civil time',
    alerts UInt64 COMMENT 'how many that dispatchers were told of or that somebody took',
    acknowledge_median Nullable(Float64) COMMENT 'minutes from the begin until half were acknowledged, or taken in another way',
    acknowledge_p90 Nullable(Float64) COMMENT 'until nine in ten were',
    dispatch_median Nullable(Float64) COMMENT 'minutes from the begin until half were dispatched',
    dispatch_p90 Nullable(Float64) COMMENT 'until nine in ten were',
    resolve_median Nullable(Float64) COMMENT 'minutes from the begin until half were resolved',
    resolve_p90 Nullable(Float64) COMMENT 'until nine in ten were'
)
AS SELECT
    area,
    toHour(toTimeZone(opened_at, '{timezone}')) AS hour,
    count() AS alerts,
    quantileExact(0.5)(acknowledged) AS acknowledge_median,
    quantileExact(0.9)(acknowledged) AS acknowledge_p90,
    quantileExact(0.5)(dispatched) AS dispatch_median,
    quantileExact(0.9)(dispatched) AS dispatch_p90,
    quantileExact(0.5)(resolved) AS resolve_median,
    quantileExact(0.9)(resolved) AS resolve_p90
FROM
(
    SELECT
        alert_id,
        substring(alert_id, 1, position(alert_id, '-') - 1) AS area,
        minIf(at, event = 'opened') AS opened_at,
        dateDiff('second', opened_at, minIf(toNullable(at), handling_from = 'new' AND handling_to != 'new' AND action != '')) / 60 AS acknowledged,
        dateDiff('second', opened_at, minIf(toNullable(at), handling_to = 'dispatched')) / 60 AS dispatched,
        dateDiff('second', opened_at, minIf(toNullable(at), handling_to = 'resolved')) / 60 AS resolved
    FROM alert_events
    WHERE version > 0 AND alert_id IN (SELECT alert_id FROM alerts FINAL WHERE mode = 'live')
    GROUP BY alert_id
    HAVING countIf(event = 'opened') > 0 AND (countIf(notice_id != '') > 0 OR acknowledged IS NOT NULL)
)
GROUP BY area, hour
COMMENT 'How soon people acted on what they were told, by district and hour; live alerts alone';
