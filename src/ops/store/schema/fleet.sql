-- What is known of edges from what they say: sessions, processes, boots, and the last report.
CREATE TABLE edge_sessions (
    id            TEXT PRIMARY KEY,               -- a UUID
    edge_id       TEXT NOT NULL UNIQUE REFERENCES edges (id),
    public_key    BLOB NOT NULL,                  -- Ed25519, 32 bytes
    fingerprint   TEXT,                           -- of the device that joined
    host          TEXT,                           -- what that device is called
    serial        INTEGER NOT NULL,               -- what the edge has come to
    next_serial   INTEGER,                        -- given out, and not used yet
    serial_ms     INTEGER NOT NULL,               -- since when `serial` is used
    instance      TEXT NOT NULL,                  -- the process that goes on with it
    joined_ms     INTEGER NOT NULL,
    seen_ms       INTEGER NOT NULL,               -- the last contact
    copied_ms     INTEGER                         -- when a copy of it spoke last
) STRICT;

-- Processes of engines that spoke for a session, the newest of them.
CREATE TABLE edge_instances (
    session_id    TEXT NOT NULL REFERENCES edge_sessions (id),
    instance      TEXT NOT NULL,
    boot          TEXT NOT NULL,
    fingerprint   TEXT,
    first_ms      INTEGER NOT NULL,
    first_mono_ms INTEGER NOT NULL,               -- since its boot
    seen_ms       INTEGER NOT NULL,
    mono_ms       INTEGER NOT NULL,
    again_mono_ms INTEGER,                        -- it spoke after another had taken over
    copied_ms     INTEGER,                        -- it was told that it is a copy
    has_left      INTEGER NOT NULL DEFAULT 0,     -- it stopped in good order
    PRIMARY KEY (session_id, instance)
) STRICT, WITHOUT ROWID;

-- Where the zero of each boot's clock lies in the time of the ops center.
CREATE TABLE edge_boots (
    edge_id       TEXT NOT NULL REFERENCES edges (id),
    boot          TEXT NOT NULL,
    zero_ms       INTEGER NOT NULL,               -- milliseconds since the epoch
    learned_ms    INTEGER NOT NULL,
    PRIMARY KEY (edge_id, boot)
) STRICT, WITHOUT ROWID;

-- What each edge said of itself last.
CREATE TABLE edge_reports (
    edge_id       TEXT PRIMARY KEY REFERENCES edges (id),
    at_ms         INTEGER NOT NULL,
    clock_ms      INTEGER NOT NULL,               -- how far the device's clock was ahead
    report        TEXT NOT NULL                   -- JSON as the edge sent it
) STRICT;
