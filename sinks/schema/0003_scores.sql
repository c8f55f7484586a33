-- Three scores instead of one: how novel, how far off now, and what a new finding is worth. What was stored as score
-- before is the severity of those rows; nothing is written anew for it.
ALTER TABLE observations
    ADD COLUMN alarm Nullable(Float64) COMMENT 'how novel, where it is; else 0; NULL when the learned layer said nothing' CODEC(ZSTD(1)) AFTER upper,
    ADD COLUMN severity Nullable(Float64) DEFAULT score COMMENT 'how far the departure from the profile stands off now: anomalous from 2.4; NULL when the learned layer said nothing' CODEC(ZSTD(1)) AFTER alarm,
    ADD COLUMN signal Nullable(Float64) COMMENT 'what the finding that begins or grows here is worth: told from 1; else 0; NULL when the learned layer said nothing' CODEC(ZSTD(1)) AFTER severity,
    COMMENT COLUMN score 'the severity of rows that an older version stored; NULL since';
