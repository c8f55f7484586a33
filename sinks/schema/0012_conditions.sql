-- What has not lasted for its time yet is no alert: no condition is pending.
ALTER TABLE alerts
    COMMENT COLUMN condition_state 'active, unknown or cleared: the engine''s view';
