-- Pipelines and their immutable versions.
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
