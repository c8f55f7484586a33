-- One table with a column of every type that the schema or its readers use, and four rows: an ordinary one, the
-- lowest values, the highest ones, and what is empty or NULL. questions.json has the same values as text.

CREATE DATABASE clients;

CREATE TABLE clients.types
(
    id UInt8,
    text String,
    fixed FixedString(4),
    word LowCardinality(String),
    word_or_null LowCardinality(Nullable(String)),
    text_or_null Nullable(String),
    flag Bool,
    u8 UInt8,
    u16 UInt16,
    u32 UInt32,
    u64 UInt64,
    u128 UInt128,
    u256 UInt256,
    i8 Int8,
    i16 Int16,
    i32 Int32,
    i64 Int64,
    i128 Int128,
    i256 Int256,
    i32_or_null Nullable(Int32),
    f32 Float32,
    f64 Float64,
    f64_or_null Nullable(Float64),
    d32 Decimal32(2),
    d64 Decimal64(4),
    d128 Decimal128(10),
    d256 Decimal256(20),
    d_or_null Nullable(Decimal(12, 3)),
    day Date,
    day32 Date32,
    day_or_null Nullable(Date),
    at DateTime,
    at_utc DateTime('UTC'),
    at_shanghai DateTime('Asia/Shanghai'),
    at0 DateTime64(0, 'UTC'),
    at3 DateTime64(3, 'UTC'),
    at6 DateTime64(6, 'Asia/Shanghai'),
    at9 DateTime64(9, 'America/St_Johns'),
    at_or_null Nullable(DateTime64(3, 'UTC')),
    uuid UUID,
    uuid_or_null Nullable(UUID),
    ip4 IPv4,
    ip6 IPv6,
    level Enum8('none' = 0, 'blue' = 1, '红' = -128),
    level16 Enum16('很挤' = -1, 'calm' = 300),
    tags Array(String),
    grid Array(Array(Float64)),
    words Array(LowCardinality(String)),
    gaps Array(Nullable(Int32)),
    times Array(DateTime64(3, 'UTC')),
    pairs Array(Tuple(String, UInt8)),
    pair Tuple(String, UInt8),
    place Tuple(lat Float64, lon Float64),
    sizes Map(String, UInt64),
    lists Map(LowCardinality(String), Array(UInt8))
)
ENGINE = MergeTree ORDER BY id;

INSERT INTO clients.types VALUES
(
    1, '人民广场 station', '日x', 'crowd', 'metro', 'it\'s \\ "quoted"\n\ttext', true,
    7, 700, 70000, 7000000000, 70000000000000000000000, 7000000000000000000000000000000000000000000,
    -7, -700, -70000, -7000000000, -70000000000000000000000, -7000000000000000000000000000000000000000000, -5,
    1.5, 0.1, -2.25, 12.34, -12.3456, 1234567890.0123456789, 12345.00000000000000000001, 1.125,
    '2024-02-29', '1950-06-15', '2024-12-31', '2024-02-29 12:30:45', '2024-02-29 12:30:45', '2024-02-29 20:30:45',
    '2024-02-29 12:30:45', '2024-02-29 12:30:45.123', '2024-02-29 20:30:45.123456', '2024-02-29 09:00:45.123456000',
    '2024-02-29 12:30:45.5', '61f0c404-5cb3-11e7-907b-a6006ad3dba0', '00112233-4455-6677-8899-aabbccddeeff',
    '116.106.34.242', '2001:db8::8a2e:370:7334', 'blue', 'calm', ['a', '广场', ''], [[1, 2.5], [], [-3]],
    ['x', 'y', 'x'], [1, NULL, -3], ['2024-02-29 12:30:45.250', '1970-01-01 00:00:00.001'], [('a', 1), ('b', 2)],
    ('p', 9), (31.25, 121.5), {'a': 1, 'b': 18446744073709551615}, {'k': [1, 2], 'l': []}
),
(
    2, '', 'wxyz', '', '', '', false, 0, 0, 0, 0, 0, 0, -128, -32768, -2147483648, -9223372036854775808,
    -170141183460469231731687303715884105728,
    -57896044618658097711785492504343953926634992332820282019728792003956564819968, -2147483648,
    -0.5, -123456789.125, 0, -9999999.99, -99999999999999.9999, -9999999999999999999999999999.9999999999,
    -99999999999999999999999999999999999999999999999999999999.99999999999999999999, -999999999.999,
    '1970-01-01', '1900-01-01', '1970-01-01', '1970-01-01 00:00:00', '1970-01-01 00:00:00', '1970-01-01 08:00:00',
    '1925-01-01 00:00:00', '1925-01-01 00:00:00.001', '1969-12-31 23:59:59.999999', '1969-12-31 00:00:00.000001000',
    '1970-01-01 00:00:00', '00000000-0000-0000-0000-000000000000', '00000000-0000-0000-0000-000000000001', '0.0.0.0',
    '::', '红', '很挤', [''], [[]], [''], [NULL], ['1925-01-01 00:00:00'], [('', 0)], ('', 0), (-90, -180), {'': 0},
    {'': []}
),
(
    3, repeat('z', 280), 'ZZZZ', 'traffic', 'bus', '日', true,
    255, 65535, 4294967295, 18446744073709551615, 340282366920938463463374607431768211455,
    115792089237316195423570985008687907853269984665640564039457584007913129639935,
    127, 32767, 2147483647, 9223372036854775807, 170141183460469231731687303715884105727,
    57896044618658097711785492504343953926634992332820282019728792003956564819967, 2147483647,
    16777216, 9007199254740992, 0.5, 9999999.99, 99999999999999.9999, 9999999999999999999999999999.9999999999,
    99999999999999999999999999999999999999999999999999999999.99999999999999999999, 999999999.999,
    '2149-06-06', '2299-12-31', '2149-06-06', '2106-02-07 06:28:15', '2106-02-07 06:28:15', '2106-02-07 14:28:15',
    '2105-12-31 23:59:59', '2105-12-31 23:59:59.999', '2105-12-31 23:59:59.999999', '2105-12-31 20:29:59.999999000',
    '2105-12-31 23:59:59.999', 'ffffffff-ffff-ffff-ffff-ffffffffffff', 'ffffffff-ffff-ffff-ffff-fffffffffffe',
    '255.255.255.255', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', 'none', 'calm', ['a', 'b', 'c', 'd'],
    [[0.5], [1, 2, 3]], ['q'], [2147483647, -2147483648], [], [('z', 255)], ('zz', 255), (90, 180),
    {'x': 3, 'y': 2, 'z': 1}, {'n': [255]}
),
(
    4, '0', '0000', 'events', NULL, NULL, false, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, NULL,
    0, 0, NULL, 0, 0, 0, 0, NULL, '2000-01-01', '2000-01-01', NULL, '2000-01-01 00:00:00', '2000-01-01 00:00:00',
    '2000-01-01 00:00:00', '2000-01-01 00:00:00', '2000-01-01 00:00:00', '2000-01-01 00:00:00', '2000-01-01 00:00:00',
    NULL, '61f0c404-5cb3-11e7-907b-a6006ad3dba1', NULL, '1.2.3.4', 'fe80::1', 'none', '很挤', [], [], [], [],
    [], [], ('n', 1), (0, 0), {}, {}
);

CREATE TABLE clients.observations
(
    observed_at DateTime64(3, 'UTC') COMMENT 'when',
    grid_id LowCardinality(String) COMMENT '单元网格',
    value Nullable(Float64)
)
ENGINE = MergeTree ORDER BY (grid_id, observed_at)
COMMENT '观测';

CREATE VIEW clients.latest AS SELECT grid_id, max(observed_at) AS at FROM clients.observations GROUP BY grid_id;

INSERT INTO clients.observations
SELECT toDateTime64('2024-01-01 00:00:00', 3, 'UTC') + INTERVAL number MINUTE, concat('格', toString(number % 3)),
    if(number % 4 = 0, NULL, number / 2)
FROM numbers(1200);
