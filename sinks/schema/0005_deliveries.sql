-- Why each notice was sent and in which form; and the states of endpoints.

ALTER TABLE deliveries
    ADD COLUMN type LowCardinality(String) COMMENT 'type of the notice, alert.opened, …' AFTER sequence,
    ADD COLUMN reason LowCardinality(String) COMMENT 'why the notice was sent' AFTER type,
    ADD COLUMN profile LowCardinality(String) COMMENT 'form of the body' AFTER endpoint,
    COMMENT COLUMN outcome 'delivered, retry, permanent, disabled, expired, superseded or enabled';
