-- Edges: where publishes run. A name is taken until its edge is removed.
CREATE TABLE edges (
    id            TEXT PRIMARY KEY,               -- a UUID
    name          TEXT NOT NULL,
    publish_id    INTEGER NOT NULL REFERENCES publishes (id),
    came_from     INTEGER REFERENCES publishes (id), -- the publish that this one replaced for it
    tags          TEXT NOT NULL DEFAULT '[]',     -- JSON list
    cpus          REAL NOT NULL,
    memory        TEXT NOT NULL,                  -- `3Gi`
    created_ms    INTEGER NOT NULL,
    created_by    TEXT NOT NULL REFERENCES users (id),
    removed_ms    INTEGER,
    seen_ms       INTEGER                         -- the last contact
) STRICT;
CREATE UNIQUE INDEX edges_by_name ON edges (name) WHERE removed_ms IS NULL;
CREATE INDEX edges_by_publish ON edges (publish_id);

-- One for each bundle that was handed out.
CREATE TABLE join_tokens (
    hash          BLOB PRIMARY KEY,               -- SHA-256 of the token
    edge_id       TEXT NOT NULL REFERENCES edges (id),
    created_ms    INTEGER NOT NULL,
    expires_ms    INTEGER NOT NULL,
    used_ms       INTEGER,
    public_key    BLOB,                           -- of the device that used it
    revoked_ms    INTEGER
) STRICT;
CREATE UNIQUE INDEX join_tokens_by_edge ON join_tokens (edge_id) WHERE revoked_ms IS NULL;

-- What an edge pulls with from the built-in registry.
CREATE TABLE pull_credentials (
    username      TEXT PRIMARY KEY,
    hash          BLOB NOT NULL,                  -- SHA-256 of a random password
    edge_id       TEXT NOT NULL REFERENCES edges (id),
    created_ms    INTEGER NOT NULL,
    revoked_ms    INTEGER
) STRICT;
CREATE INDEX pull_credentials_by_edge ON pull_credentials (edge_id);
