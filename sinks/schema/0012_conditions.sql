-- What has not lasted for its time yet is no alert: no condition is pending. And who reopens an alert takes its condition.
ALTER TABLE alerts
    COMMENT COLUMN condition_state 'active, unknown or cleared: the engine''s view',
    COMMENT COLUMN merged_into 'the alert that goes on for it: an older one that it became part of, or the one that reopened it; else empty';
