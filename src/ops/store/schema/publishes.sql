-- What was published of pipeline versions, and how far it has come.
CREATE TABLE publishes (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    pipeline_version_id INTEGER NOT NULL REFERENCES pipeline_versions (id),
    status        TEXT NOT NULL CHECK (status IN ('PendingPublish', 'Publishing', 'Published', 'Error')),
    error         TEXT,                           -- why it is `Error`, or what the last attempt met
    created_ms    INTEGER NOT NULL,
    updated_ms    INTEGER NOT NULL,
    created_by    TEXT NOT NULL REFERENCES users (id),
    engine_config TEXT NOT NULL,                  -- JSON
    replaces      TEXT NOT NULL DEFAULT '[]',     -- JSON: ids of publishes
    pipeline_url  TEXT,
    engine_url    TEXT,
    chart_reference TEXT,
    chart         TEXT,
    chart_version TEXT,
    digest        TEXT,                           -- of the pipeline's manifest
    bytes_total   INTEGER NOT NULL DEFAULT 0,     -- of all that was pushed
    attempts      INTEGER NOT NULL DEFAULT 0,     -- that came to an end
    next_ms       INTEGER NOT NULL                -- while pending: not before
) STRICT;
CREATE INDEX publishes_by_version ON publishes (pipeline_version_id);
CREATE INDEX publishes_unfinished ON publishes (next_ms) WHERE status IN ('PendingPublish', 'Publishing');
