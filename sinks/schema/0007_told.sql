-- Whom a notice is for, as the routing said it.
ALTER TABLE notices
    ADD COLUMN receivers Array(LowCardinality(String)) COMMENT 'who is told, by their names in the routing; empty when no route says so',
    ADD COLUMN endpoints Array(LowCardinality(String)) COMMENT 'the webhooks that it is for',
    COMMENT COLUMN type 'alert.opened, alert.escalated, …';
