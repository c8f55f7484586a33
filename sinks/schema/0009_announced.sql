-- What the calendar announces, so that whoever looks at a night sees that there was a match.
CREATE TABLE announced
(
    starts_at DateTime64(3, 'UTC') COMMENT 'from when on',
    ends_at DateTime64(3, 'UTC') COMMENT 'until when, not itself included',
    name String COMMENT 'as the calendar calls it',
    mode LowCardinality(String) COMMENT 'mute, raise_threshold, expected_load or train_mask: what it asks for',
    cells Array(String) COMMENT 'what the codes of its cells begin with; empty for all of the city',
    kind LowCardinality(String) COMMENT 'crowd, traffic or events; empty for all',
    metric LowCardinality(String) COMMENT 'the metric that it is about; empty for all',
    version UInt64 COMMENT 'when the calendar was read, milliseconds since 1970; the highest counts, of all rows'
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (starts_at, name, mode, ends_at, cells, kind, metric)
COMMENT 'Windows of the calendar, from 30 days before it was read to a year ahead; written by init, migrate and up';
