-- Who may do what. Times are milliseconds since the epoch; secrets are kept as SHA-256 or Argon2id alone.
CREATE TABLE users (
    id            TEXT PRIMARY KEY,               -- a UUID
    email         TEXT NOT NULL UNIQUE COLLATE NOCASE,
    first_name    TEXT NOT NULL DEFAULT '',
    last_name     TEXT NOT NULL DEFAULT '',
    password      TEXT,                           -- Argon2id in PHC form; null: cannot sign in with one
    is_admin      INTEGER NOT NULL DEFAULT 0,     -- of the whole ops center
    is_enabled    INTEGER NOT NULL DEFAULT 1,
    created_ms    INTEGER NOT NULL
) STRICT;

CREATE TABLE workspaces (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    name          TEXT NOT NULL UNIQUE,
    is_archived   INTEGER NOT NULL DEFAULT 0,
    created_ms    INTEGER NOT NULL,
    created_by    TEXT NOT NULL REFERENCES users (id)
) STRICT;

CREATE TABLE members (
    workspace_id  INTEGER NOT NULL REFERENCES workspaces (id),
    user_id       TEXT NOT NULL REFERENCES users (id),
    role          TEXT NOT NULL CHECK (role IN ('viewer', 'publisher', 'admin')),
    PRIMARY KEY (workspace_id, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX members_by_user ON members (user_id);

-- What a program or a browser shows instead of a password.
CREATE TABLE tokens (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    kind          TEXT NOT NULL CHECK (kind IN ('api', 'bearer', 'refresh', 'session', 'first_run')),
    hash          BLOB NOT NULL UNIQUE,           -- SHA-256 of the token
    user_id       TEXT REFERENCES users (id),     -- null: the first run has nobody yet
    name          TEXT NOT NULL DEFAULT '',
    family        TEXT,                           -- one sign-in: its bearer and refresh tokens end together
    created_ms    INTEGER NOT NULL,
    expires_ms    INTEGER,                        -- null: never
    used_ms       INTEGER,                        -- the last time, to the minute
    revoked_ms    INTEGER
) STRICT;
CREATE INDEX tokens_by_user ON tokens (user_id);
CREATE INDEX tokens_by_family ON tokens (family) WHERE family IS NOT NULL;
CREATE INDEX tokens_by_end ON tokens (expires_ms) WHERE expires_ms IS NOT NULL;

-- Every change, for good: who, when, what, to what.
CREATE TABLE audit (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms         INTEGER NOT NULL,
    user_id       TEXT REFERENCES users (id),
    workspace_id  INTEGER REFERENCES workspaces (id),
    action        TEXT NOT NULL,                  -- `edge.add`
    subject       TEXT NOT NULL,                  -- its name or id, for people
    detail        TEXT NOT NULL DEFAULT '{}',     -- JSON, never a secret
    peer          TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX audit_by_user ON audit (user_id);
CREATE INDEX audit_by_action ON audit (action);
