-- Pipelines, their immutable versions, and what was published of them.
CREATE TABLE pipelines (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    workspace_id  INTEGER NOT NULL REFERENCES workspaces (id),
    name          TEXT NOT NULL,
    created_ms    INTEGER NOT NULL,
    updated_ms    INTEGER NOT NULL,
    created_by    TEXT NOT NULL REFERENCES users (id),
    UNIQUE (workspace_id, name)
) STRICT;

CREATE TABLE pipeline_versions (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    pipeline_id   INTEGER NOT NULL REFERENCES pipelines (id),
    version       TEXT NOT NULL UNIQUE,           -- a UUID: the tag of its publishes
    definition    TEXT NOT NULL,                  -- JSON, as it was sent
    config        TEXT NOT NULL,                  -- JSON: the config blob that every publish of it carries
    created_ms    INTEGER NOT NULL,
    created_by    TEXT NOT NULL REFERENCES users (id)
) STRICT;
CREATE INDEX pipeline_versions_by_pipeline ON pipeline_versions (pipeline_id);

CREATE TABLE publishes (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    pipeline_version_id INTEGER NOT NULL REFERENCES pipeline_versions (id),
    status        TEXT NOT NULL CHECK (status IN ('PendingPublish', 'Publishing', 'Published', 'Error')),
    error         TEXT,
    created_ms    INTEGER NOT NULL,
    updated_ms    INTEGER NOT NULL,
    created_by    TEXT NOT NULL REFERENCES users (id),
    engine_config TEXT NOT NULL DEFAULT '{}',     -- JSON
    replaces      TEXT NOT NULL DEFAULT '[]',     -- JSON: ids of publishes
    pipeline_url  TEXT,
    engine_url    TEXT,
    chart_reference TEXT,
    chart         TEXT,
    chart_version TEXT,
    digest        TEXT,                           -- of the pipeline's manifest
    bytes_done    INTEGER NOT NULL DEFAULT 0,
    bytes_total   INTEGER NOT NULL DEFAULT 0,
    attempts      INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX publishes_by_version ON publishes (pipeline_version_id);
CREATE INDEX publishes_by_status ON publishes (status) WHERE status IN ('PendingPublish', 'Publishing');
