-- Models and their versions; the files are blobs, kept once for each digest.
CREATE TABLE models (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    workspace_id  INTEGER NOT NULL REFERENCES workspaces (id),
    name          TEXT NOT NULL,
    created_ms    INTEGER NOT NULL,
    updated_ms    INTEGER NOT NULL,
    created_by    TEXT NOT NULL REFERENCES users (id),
    UNIQUE (workspace_id, name)
) STRICT;

CREATE TABLE model_versions (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    model_id      INTEGER NOT NULL REFERENCES models (id),
    version       TEXT NOT NULL UNIQUE,           -- a UUID
    sha           TEXT NOT NULL,                  -- 64 hex digits: the blob
    size_bytes    INTEGER NOT NULL,
    file_name     TEXT NOT NULL,                  -- as it was uploaded; shown, never opened
    status        TEXT NOT NULL CHECK (status IN ('attempting_load_native', 'ready', 'error')),
    error         TEXT,
    visibility    TEXT NOT NULL DEFAULT 'private',
    facts         TEXT NOT NULL DEFAULT '{}',     -- JSON: what the check found (ports, operators, sizes, latency)
    created_ms    INTEGER NOT NULL,
    created_by    TEXT NOT NULL REFERENCES users (id)
) STRICT;
CREATE INDEX model_versions_by_model ON model_versions (model_id);
CREATE INDEX model_versions_by_sha ON model_versions (sha);
CREATE INDEX model_versions_to_check ON model_versions (id) WHERE status = 'attempting_load_native';

CREATE TABLE model_configs (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    model_version_id INTEGER NOT NULL REFERENCES model_versions (id),
    runtime       TEXT NOT NULL DEFAULT 'onnx',
    tensor_fields TEXT,                           -- JSON list
    settings      TEXT NOT NULL DEFAULT '{}',     -- JSON: the original's further keys
    created_ms    INTEGER NOT NULL
) STRICT;
CREATE INDEX model_configs_by_version ON model_configs (model_version_id);

-- Uploads that go on after a cut; the bytes so far are a file named by the id.
CREATE TABLE uploads (
    id            TEXT PRIMARY KEY,               -- a UUID
    user_id       TEXT NOT NULL REFERENCES users (id),
    workspace_id  INTEGER NOT NULL REFERENCES workspaces (id),
    name          TEXT NOT NULL,
    file_name     TEXT NOT NULL,
    visibility    TEXT NOT NULL DEFAULT 'private',
    size_bytes    INTEGER,                        -- of the whole; null: not told
    received_bytes INTEGER NOT NULL DEFAULT 0,    -- as many are on the disk for good
    model_version_id INTEGER REFERENCES model_versions (id), -- what became of it
    beside        TEXT REFERENCES uploads (id),   -- the upload of the model that this file lies beside
    created_ms    INTEGER NOT NULL,
    touched_ms    INTEGER NOT NULL
) STRICT;
CREATE INDEX uploads_beside ON uploads (beside) WHERE beside IS NOT NULL;
