-- What analysts, dashboards and forecasts read: roll-ups, forecasts, situations, places and sensors, and views over all.

-- Values and times compress several times better when each is stored as its difference from the last.
ALTER TABLE observations
    MODIFY COLUMN observed_at CODEC(DoubleDelta, ZSTD(1)),
    MODIFY COLUMN value CODEC(Gorilla, ZSTD(1)),
    MODIFY COLUMN expected CODEC(ZSTD(1)),
    MODIFY COLUMN lower CODEC(ZSTD(1)),
    MODIFY COLUMN upper CODEC(ZSTD(1)),
    MODIFY COLUMN score CODEC(ZSTD(1)),
    MODIFY COLUMN history CODEC(Delta, ZSTD(1)),
    MODIFY COLUMN offset CODEC(Delta, ZSTD(1));

ALTER TABLE grid_events
    MODIFY COLUMN description CODEC(ZSTD(3)),
    MODIFY COLUMN offset CODEC(Delta, ZSTD(1));

-- Of the indexes that serve LIKE '%…%' in Chinese as well as in English, the inverted index over pairs of characters is
-- the fastest: on two million reports 13 ms for '%踩踏%', where reading all takes 51 and a Bloom filter of pairs 16.
ALTER TABLE grid_events ADD INDEX IF NOT EXISTS description_text description TYPE text(tokenizer = ngrams(2));

ALTER TABLE observations MODIFY COMMENT 'Observations with their verdicts; written by store';

ALTER TABLE grid_events MODIFY COMMENT 'Reports of grid workers and citizens, without any personal field; written by store';

ALTER TABLE alerts MODIFY COMMENT 'Alerts as they stand; written by store';

ALTER TABLE alert_events MODIFY COMMENT 'Every transition of every alert: append-only audit; written by store';

ALTER TABLE notices MODIFY COMMENT 'What dispatchers are told; written by store';

ALTER TABLE deliveries MODIFY COMMENT 'Every attempt to deliver a notice to a webhook; written by store';

ALTER TABLE dead_letters MODIFY COMMENT 'Records, or objects of them, that were refused; written by store';

-- Repeats are forgiven: after a crash some rows come again, in other batches. A sum would count them twice, so a bucket
-- keeps the set of its points, and a point that comes again is the same point.
CREATE TABLE observations_15m_points
(
    grid_id LowCardinality(String) COMMENT 'unit grid cell',
    kind LowCardinality(String) COMMENT 'crowd, traffic or events',
    metric LowCardinality(String) COMMENT 'what was measured, with its unit',
    source LowCardinality(String) COMMENT 'sensor, or cell/category for counts of reports',
    bucket DateTime('UTC') COMMENT 'begin of the quarter of an hour' CODEC(Delta, ZSTD(1)),
    points SimpleAggregateFunction(groupUniqArrayArray, Array(Tuple(ms UInt32, value Float64))) COMMENT 'each observation: milliseconds after the begin, and its value' CODEC(ZSTD(1)),
    anomalous SimpleAggregateFunction(groupUniqArrayArray, Array(UInt32)) COMMENT 'the milliseconds of those judged anomalous' CODEC(ZSTD(1))
)
ENGINE = AggregatingMergeTree
PARTITION BY toYYYYMM(bucket)
ORDER BY (grid_id, kind, metric, source, bucket)
SETTINGS non_replicated_deduplication_window = 1000
COMMENT 'Quarters of an hour as sets of points; read observations_15m instead; written by the database itself';

CREATE MATERIALIZED VIEW observations_15m_fill TO observations_15m_points
AS SELECT
    grid_id, kind, metric, source,
    toStartOfFifteenMinutes(observed_at) AS bucket,
    groupUniqArray((toUInt32(toUnixTimestamp64Milli(observed_at) - 1000 * toUnixTimestamp(toStartOfFifteenMinutes(observed_at))), value)) AS points,
    groupUniqArrayIf(toUInt32(toUnixTimestamp64Milli(observed_at) - 1000 * toUnixTimestamp(toStartOfFifteenMinutes(observed_at))), state = 'anomalous') AS anomalous
FROM observations
GROUP BY grid_id, kind, metric, source, bucket
COMMENT 'Fills observations_15m_points with every insert';

CREATE VIEW observations_15m
(
    grid_id LowCardinality(String) COMMENT 'unit grid cell',
    kind LowCardinality(String) COMMENT 'crowd, traffic or events',
    metric LowCardinality(String) COMMENT 'what was measured, with its unit',
    source LowCardinality(String) COMMENT 'sensor, or cell/category for counts of reports',
    bucket DateTime('UTC') COMMENT 'begin of the quarter of an hour',
    n UInt64 COMMENT 'observations in it',
    total Float64 COMMENT 'their sum',
    mean Float64 COMMENT 'their mean',
    low Float64 COMMENT 'the smallest',
    high Float64 COMMENT 'the largest',
    anomalous UInt64 COMMENT 'how many were judged anomalous'
)
AS SELECT
    grid_id, kind, metric, source, bucket,
    length(p) AS n,
    arraySum(p.2) AS total,
    total / n AS mean,
    arrayMin(p.2) AS low,
    arrayMax(p.2) AS high,
    length(a) AS anomalous
FROM
(
    SELECT grid_id, kind, metric, source, bucket, groupUniqArrayArray(points) AS p, groupUniqArrayArray(observations_15m_points.anomalous) AS a
    FROM observations_15m_points
    GROUP BY grid_id, kind, metric, source, bucket
)
COMMENT 'Each series by quarters of an hour, exact although rows may have been written twice';

CREATE VIEW observations_1d
(
    grid_id LowCardinality(String) COMMENT 'unit grid cell',
    kind LowCardinality(String) COMMENT 'crowd, traffic or events',
    metric LowCardinality(String) COMMENT 'what was measured, with its unit',
    source LowCardinality(String) COMMENT 'sensor, or cell/category for counts of reports',
    day Date COMMENT 'day, UTC',
    n UInt64 COMMENT 'observations in it',
    total Float64 COMMENT 'their sum',
    mean Float64 COMMENT 'their mean',
    low Float64 COMMENT 'the smallest',
    high Float64 COMMENT 'the largest',
    anomalous UInt64 COMMENT 'how many were judged anomalous'
)
AS SELECT
    grid_id, kind, metric, source,
    toDate(bucket) AS day,
    sum(q.n) AS n,
    sum(q.total) AS total,
    total / n AS mean,
    min(q.low) AS low,
    max(q.high) AS high,
    sum(q.anomalous) AS anomalous
FROM observations_15m AS q
GROUP BY grid_id, kind, metric, source, day
COMMENT 'Each series by days, from its quarters of an hour';

CREATE VIEW cell_hour
(
    grid_id LowCardinality(String) COMMENT 'unit grid cell',
    kind LowCardinality(String) COMMENT 'crowd, traffic or events',
    metric LowCardinality(String) COMMENT 'what was measured, with its unit',
    weekday UInt8 COMMENT 'day of the week, 1 = Monday, in the city''s civil time',
    hour UInt8 COMMENT 'hour of the day, 0 to 23, in the city''s civil time',
    n UInt64 COMMENT 'quarters of an hour behind it',
    p10 Float64 COMMENT 'one in ten means of a quarter was below this',
    median Float64 COMMENT 'half of them were below this',
    p90 Float64 COMMENT 'nine in ten were below this'
)
AS SELECT
    grid_id, kind, metric,
    toDayOfWeek(toTimeZone(bucket, '{timezone}')) AS weekday,
    toHour(toTimeZone(bucket, '{timezone}')) AS hour,
    count() AS n,
    quantileExact(0.1)(mean) AS p10,
    quantileExact(0.5)(mean) AS median,
    quantileExact(0.9)(mean) AS p90
FROM observations_15m
GROUP BY grid_id, kind, metric, weekday, hour
COMMENT 'What is normal for a cell: quarter-hour means by hour of the week; name the cell, or it reads everything';

CREATE TABLE forecasts
(
    kind LowCardinality(String) COMMENT 'crowd, traffic or events',
    metric LowCardinality(String) COMMENT 'what is forecast, with its unit',
    source LowCardinality(String) COMMENT 'sensor, or cell/category for counts of reports',
    grid_id LowCardinality(String) COMMENT 'unit grid cell',
    made_at DateTime64(3, 'UTC') COMMENT 'when it was made (event time)' CODEC(Delta, ZSTD(1)),
    target_at DateTime64(3, 'UTC') COMMENT 'the time that it is about' CODEC(DoubleDelta, ZSTD(1)),
    lead_minutes UInt32 COMMENT 'how far ahead, in minutes',
    model LowCardinality(String) COMMENT 'prophet_batch, profile or naive: what made it',
    expected Float64 COMMENT 'the point forecast, in the unit of the metric' CODEC(ZSTD(1)),
    lower_80 Float64 COMMENT 'low end of the band that holds four in five' CODEC(ZSTD(1)),
    upper_80 Float64 COMMENT 'high end of it' CODEC(ZSTD(1)),
    lower_95 Float64 COMMENT 'low end of the band that holds nineteen in twenty' CODEC(ZSTD(1)),
    upper_95 Float64 COMMENT 'high end of it' CODEC(ZSTD(1)),
    valid_until DateTime64(3, 'UTC') COMMENT 'after this the profile takes over' CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(target_at)
ORDER BY (kind, metric, source, target_at, lead_minutes, made_at)
SETTINGS non_replicated_deduplication_window = 1000
COMMENT 'What was expected of each series, how far ahead, and by which model; written by forecast';

CREATE TABLE forecast_audit
(
    audited_at DateTime64(3, 'UTC') COMMENT 'when the series was fitted again (arrival time)',
    kind LowCardinality(String) COMMENT 'crowd, traffic or events',
    metric LowCardinality(String) COMMENT 'what is forecast, with its unit',
    source LowCardinality(String) COMMENT 'sensor, or cell/category for counts of reports',
    slots UInt32 COMMENT 'forecast times that were compared',
    mean_difference Float64 COMMENT 'mean of ours minus that of stock Prophet, as a share of the level',
    largest_difference Float64 COMMENT 'the largest, as a share of the level',
    objective_difference Float64 COMMENT 'our objective minus that of Stan; below 0 ours is better'
)
ENGINE = ReplacingMergeTree
ORDER BY (kind, metric, source, audited_at)
SETTINGS non_replicated_deduplication_window = 1000
COMMENT 'Random series, fitted again with stock Prophet each night; written by forecast';

CREATE TABLE situations
(
    situation_id String COMMENT 'the same in every replay',
    version UInt32 COMMENT 'counts its changes from 1; the highest is how it stands now',
    area LowCardinality(String) COMMENT 'first digits of the cell',
    cell LowCardinality(String) COMMENT 'grid cell at its centre',
    cells Array(String) COMMENT 'all cells that it covers',
    kind LowCardinality(String) COMMENT 'crowding, traffic shock, incident reports, data loss, …',
    level Enum8('none' = 0, 'blue' = 1, 'yellow' = 2, 'orange' = 3, 'red' = 4) COMMENT 'warning level now',
    certainty LowCardinality(String) COMMENT 'CAP certainty: Observed, Likely, Possible, Unknown',
    state LowCardinality(String) COMMENT 'active, cleared or unknown',
    trend LowCardinality(String) COMMENT 'rising, steady or falling',
    opened_at DateTime64(3, 'UTC') COMMENT 'when it began',
    changed_at DateTime64(3, 'UTC') COMMENT 'last change',
    alert_id String COMMENT 'the alert that it became; empty when it became none',
    sentence String COMMENT 'what is known, in one sentence',
    evidence String COMMENT 'JSON array: the findings behind it'
)
ENGINE = ReplacingMergeTree(version)
ORDER BY situation_id
SETTINGS non_replicated_deduplication_window = 1000
COMMENT 'Findings that belong together, as they stand; written by store';

CREATE TABLE places
(
    grid_id String COMMENT 'code of the unit grid cell',
    name String COMMENT 'as people call it',
    parent String COMMENT 'code of the community that it belongs to',
    district String COMMENT 'first digits of the code: the area of its alerts',
    population Nullable(Float64) COMMENT 'people who live there',
    neighbours Array(String) COMMENT 'codes of adjoining cells',
    polygon Array(Tuple(long Float64, lat Float64)) COMMENT 'its outline, degrees, WGS 84',
    lat Nullable(Float64) COMMENT 'centre of the outline, degrees, WGS 84',
    long Nullable(Float64) COMMENT 'centre of the outline, degrees, WGS 84',
    version UInt64 COMMENT 'when the registry was read, milliseconds since 1970; the highest counts'
)
ENGINE = ReplacingMergeTree(version)
ORDER BY grid_id
COMMENT 'The grid cells of the registry; written by init, migrate and up';

CREATE TABLE sensors
(
    source String COMMENT 'the sensor, as in observations',
    kind LowCardinality(String) COMMENT 'crowd or traffic',
    grid_id String COMMENT 'unit grid cell',
    lat Nullable(Float64) COMMENT 'degrees, WGS 84',
    long Nullable(Float64) COMMENT 'degrees, WGS 84',
    capacity Nullable(Float64) COMMENT 'people that the place takes',
    area_m2 Nullable(Float64) COMMENT 'watched area, m²',
    width_m Nullable(Float64) COMMENT 'width of the passage, m',
    surface LowCardinality(String) COMMENT 'level, stairs, slope or escalator',
    interval_secs Float64 COMMENT 'seconds between two observations',
    version UInt64 COMMENT 'when the registry was read, milliseconds since 1970; the highest counts'
)
ENGINE = ReplacingMergeTree(version)
ORDER BY source
COMMENT 'The sensors of the registry; written by init, migrate and up';

CREATE DICTIONARY place
(
    grid_id String,
    name String,
    parent String,
    district String
)
PRIMARY KEY grid_id
SOURCE(CLICKHOUSE(QUERY 'SELECT grid_id, name, parent, district FROM {database}.places FINAL'))
LAYOUT(COMPLEX_KEY_HASHED())
LIFETIME(MIN 60 MAX 120)
COMMENT 'Cells by code, in memory: dictGet(''place'', ''name'', grid_id)';

CREATE DICTIONARY sensor
(
    source String,
    grid_id String,
    surface String,
    capacity Nullable(Float64),
    interval_secs Float64
)
PRIMARY KEY source
SOURCE(CLICKHOUSE(QUERY 'SELECT source, grid_id, surface, capacity, interval_secs FROM {database}.sensors FINAL'))
LAYOUT(COMPLEX_KEY_HASHED())
LIFETIME(MIN 60 MAX 120)
COMMENT 'Sensors by name, in memory: dictGet(''sensor'', ''grid_id'', source)';

CREATE VIEW situation_now
AS SELECT *
FROM situations FINAL
WHERE state != 'cleared'
COMMENT 'Situations that are not over';

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
    raised_after_minutes Nullable(Float64) COMMENT 'from its begin to its highest level',
    acknowledged_after_minutes Nullable(Float64) COMMENT 'from its begin until somebody took it; NULL when nobody did',
    disposition String COMMENT 'the last feedback of people: ANOMALY, NOT_ANOMALY, …; empty when there was none',
    headline String COMMENT 'one sentence'
)
AS SELECT
    a.alert_id, a.rule, a.area, a.cell,
    dictGetOrDefault('{database}.place', 'name', toString(a.cell), '') AS place,
    a.highest_level, a.mode, a.opened_at, a.cleared_at,
    dateDiff('second', a.opened_at, a.cleared_at) / 60 AS minutes,
    e.transitions, e.notices,
    dateDiff('second', a.opened_at, e.raised_at) / 60 AS raised_after_minutes,
    dateDiff('second', a.opened_at, e.acknowledged_at) / 60 AS acknowledged_after_minutes,
    e.disposition, a.headline
FROM alerts AS a FINAL
LEFT JOIN
(
    SELECT
        alert_id,
        uniqExact(version) AS transitions,
        uniqExactIf(notice_id, notice_id != '') AS notices,
        argMin(at, (-toInt8(level_to), version)) AS raised_at,
        minIf(toNullable(at), handling_to = 'acknowledged') AS acknowledged_at,
        argMaxIf(note, version, event = 'feedback') AS disposition
    FROM alert_events
    GROUP BY alert_id
) AS e ON e.alert_id = a.alert_id
COMMENT 'Each alert with what became of it';

CREATE VIEW lead_time
(
    alert_id String COMMENT 'the alert',
    rule LowCardinality(String) COMMENT 'safety or data_health',
    area LowCardinality(String) COMMENT 'first digits of the cell',
    cell LowCardinality(String) COMMENT 'grid cell',
    first_warning_at DateTime64(3, 'UTC') COMMENT 'when it first had any level',
    worst_at DateTime64(3, 'UTC') COMMENT 'when it first had its highest level',
    highest_level Enum8('none' = 0, 'blue' = 1, 'yellow' = 2, 'orange' = 3, 'red' = 4) COMMENT 'the highest it had',
    lead_minutes Float64 COMMENT 'warning before the worst'
)
AS SELECT
    e.alert_id, a.rule, a.area, a.cell, e.first_warning_at, e.worst_at, a.highest_level,
    dateDiff('second', e.first_warning_at, e.worst_at) / 60 AS lead_minutes
FROM
(
    SELECT alert_id, minIf(at, level_to > 'none') AS first_warning_at, argMin(at, (-toInt8(level_to), version)) AS worst_at
    FROM alert_events
    GROUP BY alert_id
    HAVING max(level_to) >= 'orange'
) AS e
INNER JOIN alerts AS a FINAL ON a.alert_id = e.alert_id
COMMENT 'How long before an alert was at its worst it was first told; alerts that reached orange';

CREATE VIEW response_times
(
    area LowCardinality(String) COMMENT 'first digits of the cell',
    hour UInt8 COMMENT 'hour of the day at which alerts opened, in the city''s civil time',
    alerts UInt64 COMMENT 'how many',
    acknowledge_median Nullable(Float64) COMMENT 'minutes from the begin until half were acknowledged',
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
        minIf(at, version = 1) AS opened_at,
        dateDiff('second', opened_at, minIf(toNullable(at), handling_to = 'acknowledged')) / 60 AS acknowledged,
        dateDiff('second', opened_at, minIf(toNullable(at), handling_to = 'dispatched')) / 60 AS dispatched,
        dateDiff('second', opened_at, minIf(toNullable(at), handling_to = 'resolved')) / 60 AS resolved
    FROM alert_events
    GROUP BY alert_id
)
GROUP BY area, hour
COMMENT 'How soon people acted, by district and hour';

CREATE VIEW forecast_verification
(
    kind LowCardinality(String) COMMENT 'crowd, traffic or events',
    metric LowCardinality(String) COMMENT 'what was forecast, with its unit',
    source LowCardinality(String) COMMENT 'sensor, or cell/category for counts of reports',
    grid_id LowCardinality(String) COMMENT 'unit grid cell',
    target_at DateTime64(3, 'UTC') COMMENT 'the time that it is about',
    lead_minutes UInt32 COMMENT 'how far ahead, in minutes',
    model LowCardinality(String) COMMENT 'what made it',
    expected Float64 COMMENT 'the point forecast',
    value Float64 COMMENT 'what came: the mean of the quarter of an hour',
    error Float64 COMMENT 'what came minus what was expected',
    inside_80 UInt8 COMMENT '1 when it lay in the 80 % band',
    inside_95 UInt8 COMMENT '1 when it lay in the 95 % band'
)
AS SELECT
    f.kind, f.metric, f.source, f.grid_id, f.target_at, f.lead_minutes, f.model, f.expected,
    q.mean AS value,
    value - f.expected AS error,
    value BETWEEN f.lower_80 AND f.upper_80 AS inside_80,
    value BETWEEN f.lower_95 AND f.upper_95 AS inside_95
FROM forecasts AS f FINAL
INNER JOIN observations_15m AS q
    ON q.grid_id = f.grid_id AND q.kind = f.kind AND q.metric = f.metric AND q.source = f.source
    AND q.bucket = toStartOfFifteenMinutes(f.target_at)
COMMENT 'Each forecast beside what came; name grid_id and source, or it reads everything';

CREATE VIEW lineage
(
    alert_id String COMMENT 'the alert',
    series String COMMENT 'the series of the finding: kind/source/metric',
    layer String COMMENT 'limit, learned, quality or event: which layer found it',
    reason String COMMENT 'why',
    level String COMMENT 'the level that the finding asks for',
    topic String COMMENT 'topic of the source record',
    partition Int32 COMMENT 'partition of the source record',
    offset Int64 COMMENT 'offset of the source record',
    item Int32 COMMENT 'which of its objects and metrics',
    observed_at DateTime64(3, 'UTC') COMMENT 'when the observation was measured; 1970 when the record is a report',
    value Float64 COMMENT 'the observation, as measured',
    expected Nullable(Float64) COMMENT 'what the learned layer expected of it',
    state Enum8('warming_up' = 0, 'normal' = 1, 'anomalous' = 2) COMMENT 'its verdict',
    service_request_id String COMMENT 'the report, at its source; empty when the record is an observation',
    description String COMMENT 'the report, as it was told'
)
AS SELECT
    e.alert_id AS alert_id,
    e.series AS series,
    e.layer AS layer,
    e.reason AS reason,
    e.level AS level,
    e.topic AS topic,
    e.partition AS partition,
    e.offset AS offset,
    e.item AS item,
    o.observed_at AS observed_at,
    o.value AS value,
    o.expected AS expected,
    o.state AS state,
    r.service_request_id AS service_request_id,
    r.description AS description
FROM
(
    SELECT
        alert_id,
        JSONExtractString(piece, 'series') AS series,
        JSONExtractString(piece, 'layer') AS layer,
        JSONExtractString(piece, 'reason') AS reason,
        JSONExtractString(piece, 'level') AS level,
        JSONExtractString(piece, 'lineage', 1) AS topic,
        toInt32(JSONExtractInt(piece, 'lineage', 2)) AS partition,
        JSONExtractInt(piece, 'lineage', 3) AS offset,
        toInt32(JSONExtractInt(piece, 'lineage', 4)) AS item
    FROM alerts FINAL
    ARRAY JOIN JSONExtractArrayRaw(evidence) AS piece
    WHERE alert_id = {alert:String}
) AS e
LEFT JOIN
(
    SELECT topic, partition, offset, item, observed_at, value, expected, state
    FROM observations FINAL
    WHERE (kind, source) IN
    (
        SELECT splitByChar('/', JSONExtractString(piece, 'series'))[1], arrayStringConcat(arrayPopBack(arrayPopFront(splitByChar('/', JSONExtractString(piece, 'series')))), '/')
        FROM alerts FINAL
        ARRAY JOIN JSONExtractArrayRaw(evidence) AS piece
        WHERE alert_id = {alert:String}
    )
) AS o ON o.topic = e.topic AND o.partition = e.partition AND o.offset = e.offset AND o.item = e.item
LEFT JOIN
(
    SELECT topic, partition, offset, service_request_id, description
    FROM grid_events FINAL
    WHERE grid_id IN (SELECT cell FROM alerts FINAL WHERE alert_id = {alert:String})
) AS r ON r.topic = e.topic AND r.partition = e.partition AND r.offset = e.offset
COMMENT 'From an alert to its evidence, the observations or reports, and their source records: SELECT * FROM lineage(alert = ''…'')';
