-- What the engine judged, decided, said and refused. Every table may see a row twice after a crash, always with the
-- same key: read them with FINAL, or through the views.

CREATE TABLE observations
(
    observed_at DateTime64(3, 'UTC') COMMENT 'when it was measured (event time)',
    kind LowCardinality(String) COMMENT 'crowd, traffic or events',
    source LowCardinality(String) COMMENT 'sensor, or cell/category for counts of reports',
    metric LowCardinality(String) COMMENT 'what was measured, with its unit',
    grid_id LowCardinality(String) COMMENT 'unit grid cell of the source',
    value Float64 COMMENT 'as measured, in the unit of the metric',
    state Enum8('warming_up' = 0, 'normal' = 1, 'anomalous' = 2) COMMENT 'the verdict; warming_up means: cannot tell',
    reason LowCardinality(String) COMMENT 'why the verdict says so',
    level Enum8('none' = 0, 'blue' = 1, 'yellow' = 2, 'orange' = 3, 'red' = 4) COMMENT 'limit level in force afterwards',
    expected Nullable(Float64) COMMENT 'what the learned layer expected; NULL while it is warming up',
    lower Nullable(Float64) COMMENT 'low end of the expected band',
    upper Nullable(Float64) COMMENT 'high end of the expected band',
    score Nullable(Float64) COMMENT 'how unusual, in scales of the series; NULL when the learned layer said nothing',
    direction Int8 COMMENT '-1 below, +1 above what is expected or allowed, 0 neither',
    confidence Float32 COMMENT '0 to 1',
    history UInt32 COMMENT 'observations behind the verdict',
    topic LowCardinality(String) COMMENT 'topic of the source record',
    partition Int32 COMMENT 'partition of the source record',
    offset Int64 COMMENT 'offset of the source record',
    item Int32 COMMENT 'which of its objects and metrics'
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(observed_at)
ORDER BY (kind, metric, source, observed_at, topic, partition, offset, item)
SETTINGS non_replicated_deduplication_window = 1000
COMMENT 'Observations with their verdicts';

CREATE TABLE grid_events
(
    occurred_at DateTime64(3, 'UTC') COMMENT 'when it happened (event time)',
    reported_at DateTime64(3, 'UTC') COMMENT 'when it was reported',
    service_request_id String COMMENT 'the report, at its source',
    service_code LowCardinality(String) COMMENT 'what it is about, as a code',
    service_name String COMMENT 'the same in words',
    description String COMMENT 'as reported',
    grid_id LowCardinality(String) COMMENT 'unit grid cell',
    category_major LowCardinality(String) COMMENT 'major category of the city''s own scheme',
    category_minor LowCardinality(String) COMMENT 'minor category of the city''s own scheme',
    reporter_role LowCardinality(String) COMMENT 'grid_worker, citizen_hotline, citizen_app, media, superior, sensor, video',
    verification LowCardinality(String) COMMENT 'unverified, verified, rejected or duplicate',
    urgency LowCardinality(String) COMMENT 'as reported',
    status LowCardinality(String) COMMENT 'of the service request',
    agency_responsible String COMMENT 'as reported',
    address_string String COMMENT 'as reported',
    lat Nullable(Float64) COMMENT 'degrees, WGS 84',
    long Nullable(Float64) COMMENT 'degrees, WGS 84',
    updated_at Nullable(DateTime64(3, 'UTC')) COMMENT 'last change at its source',
    expected_at Nullable(DateTime64(3, 'UTC')) COMMENT 'when the agency expects to be done',
    topic LowCardinality(String) COMMENT 'topic of the source record',
    partition Int32 COMMENT 'partition of the source record',
    offset Int64 COMMENT 'offset of the source record',
    item Int32 COMMENT 'which of its objects'
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(occurred_at)
ORDER BY (grid_id, occurred_at, service_request_id, topic, partition, offset, item)
SETTINGS non_replicated_deduplication_window = 1000
COMMENT 'Reports of grid workers and citizens, without any personal field';

CREATE TABLE alerts
(
    alert_id String COMMENT 'area, then a hash of what it is about; the same in every replay',
    fingerprint String COMMENT 'hash of rule and cell',
    rule LowCardinality(String) COMMENT 'safety or data_health',
    cell LowCardinality(String) COMMENT 'grid cell',
    area LowCardinality(String) COMMENT 'first digits of the cell',
    version UInt32 COMMENT 'counts its transitions from 1; the highest is how it stands now',
    level Enum8('none' = 0, 'blue' = 1, 'yellow' = 2, 'orange' = 3, 'red' = 4) COMMENT 'warning level now',
    highest_level Enum8('none' = 0, 'blue' = 1, 'yellow' = 2, 'orange' = 3, 'red' = 4) COMMENT 'the highest it had',
    condition_state LowCardinality(String) COMMENT 'pending, active, cleared or unknown: the engine''s view',
    handling_state LowCardinality(String) COMMENT 'new to reviewed: what people did',
    certainty LowCardinality(String) COMMENT 'CAP certainty: Observed, Likely, Possible, Unknown',
    mode LowCardinality(String) COMMENT 'live, replay, exercise or test',
    opened_at DateTime64(3, 'UTC') COMMENT 'when it began',
    changed_at DateTime64(3, 'UTC') COMMENT 'last transition',
    cleared_at Nullable(DateTime64(3, 'UTC')) COMMENT 'when the condition was over; NULL while it is not',
    headline String COMMENT 'one sentence',
    evidence String COMMENT 'JSON array: the findings behind it, each with its series, reason and source position'
)
ENGINE = ReplacingMergeTree(version)
ORDER BY alert_id
SETTINGS non_replicated_deduplication_window = 1000
COMMENT 'Alerts as they stand';

CREATE TABLE alert_events
(
    alert_id String COMMENT 'the alert',
    version UInt32 COMMENT 'number of the transition',
    at DateTime64(3, 'UTC') COMMENT 'when it was decided (event time)',
    event LowCardinality(String) COMMENT 'opened, level_raised, level_lowered, cleared, …',
    reason LowCardinality(String) COMMENT 'why',
    actor LowCardinality(String) COMMENT 'the engine, or who',
    level_from Enum8('none' = 0, 'blue' = 1, 'yellow' = 2, 'orange' = 3, 'red' = 4) COMMENT 'level before',
    level_to Enum8('none' = 0, 'blue' = 1, 'yellow' = 2, 'orange' = 3, 'red' = 4) COMMENT 'level after',
    condition_from LowCardinality(String) COMMENT 'condition before; empty when it opened',
    condition_to LowCardinality(String) COMMENT 'condition after',
    handling_from LowCardinality(String) COMMENT 'handling before; empty when it opened',
    handling_to LowCardinality(String) COMMENT 'handling after',
    note String COMMENT 'in words',
    notice_id String COMMENT 'what dispatchers were told; empty when nothing was',
    held LowCardinality(String) COMMENT 'why dispatchers were told nothing; empty when they were'
)
ENGINE = ReplacingMergeTree
ORDER BY (alert_id, version)
SETTINGS non_replicated_deduplication_window = 1000
COMMENT 'Every transition of every alert: append-only audit';

CREATE TABLE notices
(
    notice_id String COMMENT 'the webhook-id, equal on every repeat',
    alert_id String COMMENT 'the alert',
    sequence UInt32 COMMENT 'number of the notice of its alert, from 1',
    type LowCardinality(String) COMMENT 'alert.opened, alert.escalated, …',
    level Enum8('none' = 0, 'blue' = 1, 'yellow' = 2, 'orange' = 3, 'red' = 4) COMMENT 'warning level',
    at DateTime64(3, 'UTC') COMMENT 'when it was decided (event time)',
    body String COMMENT 'the exact JSON that is signed and sent'
)
ENGINE = ReplacingMergeTree
ORDER BY (alert_id, sequence)
SETTINGS non_replicated_deduplication_window = 1000
COMMENT 'What dispatchers are told';

CREATE TABLE deliveries
(
    notice_id String COMMENT 'the notice',
    alert_id String COMMENT 'its alert',
    sequence UInt32 COMMENT 'number of the notice of its alert',
    endpoint LowCardinality(String) COMMENT 'name of the webhook',
    attempt UInt32 COMMENT 'number of the attempt',
    attempted_at DateTime64(3, 'UTC') COMMENT 'when (arrival time)',
    duration_ms Float64 COMMENT 'until the answer, in milliseconds',
    status UInt16 COMMENT 'HTTP status; 0 when there was no answer',
    outcome LowCardinality(String) COMMENT 'delivered, retry, permanent, disabled or expired',
    detail String COMMENT 'in words'
)
ENGINE = ReplacingMergeTree
ORDER BY (alert_id, sequence, endpoint, attempt, attempted_at)
SETTINGS non_replicated_deduplication_window = 1000
COMMENT 'Every attempt to deliver a notice to a webhook';

CREATE TABLE dead_letters
(
    rejected_at DateTime64(3, 'UTC') COMMENT 'when (arrival time)',
    reason LowCardinality(String) COMMENT 'why it was refused',
    stage LowCardinality(String) COMMENT 'where on the line',
    detail String COMMENT 'in words; never a value that the reason privacy is about',
    topic LowCardinality(String) COMMENT 'topic of the record',
    partition Int32 COMMENT 'partition of the record',
    offset Int64 COMMENT 'offset of the record',
    item Int32 COMMENT 'which of its objects',
    body String COMMENT 'the original bytes; empty when they carry identity or are too long to keep',
    body_bytes UInt64 COMMENT 'how long the record was'
)
ENGINE = ReplacingMergeTree
ORDER BY (topic, partition, offset, item)
SETTINGS non_replicated_deduplication_window = 1000
COMMENT 'Records, or objects of them, that were refused';

CREATE VIEW alerts_now
AS SELECT * FROM alerts FINAL WHERE condition_state != 'cleared'
COMMENT 'Alerts whose condition is not over';
