-- Three scores instead of one: how novel, how far off now, and what a new finding is worth.
ALTER TABLE observations RENAME COLUMN score TO severity;

ALTER TABLE observations
    COMMENT COLUMN severity 'how far the departure from the profile stands off now: anomalous from 2.4; NULL when the learned layer said nothing',
    ADD COLUMN alarm Nullable(Float64) COMMENT 'how novel, where it is; else 0; NULL when the learned layer said nothing' CODEC(ZSTD(1)) AFTER upper,
    ADD COLUMN signal Nullable(Float64) COMMENT 'what the finding that begins or grows here is worth: told from 1; else 0; NULL when the learned layer said nothing' CODEC(ZSTD(1)) AFTER severity;
