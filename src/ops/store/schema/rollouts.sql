-- What edges were assigned, and rollouts: one publish to many edges, wave by wave. All of it is kept.
CREATE TABLE rollouts (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    workspace_id  INTEGER NOT NULL REFERENCES workspaces (id),
    publish_id    INTEGER NOT NULL REFERENCES publishes (id),
    state         TEXT NOT NULL CHECK (state IN ('running', 'paused', 'halted', 'aborted', 'done')),
    reason        TEXT,                           -- why it was halted or aborted
    wave          INTEGER NOT NULL DEFAULT 0,     -- the one under way; the first is 1
    waves         INTEGER NOT NULL,
    wave_began_ms INTEGER,
    wave_ms_max   INTEGER NOT NULL,               -- then the next wave begins without those not heard of
    failures_max  INTEGER NOT NULL,               -- edges; one more halts
    sends_back    INTEGER NOT NULL,               -- whether a halt sends those back that have settled
    watch         TEXT NOT NULL,                  -- JSON
    created_ms    INTEGER NOT NULL,
    created_by    TEXT NOT NULL REFERENCES users (id),
    ended_ms      INTEGER
) STRICT;
CREATE INDEX rollouts_by_workspace ON rollouts (workspace_id);

-- One for each change of what an edge is to run. An edge has one at most that is not at its end.
CREATE TABLE assignments (
    id            TEXT PRIMARY KEY,               -- a UUID
    edge_id       TEXT NOT NULL REFERENCES edges (id),
    publish_id    INTEGER NOT NULL REFERENCES publishes (id),
    replaces      INTEGER NOT NULL REFERENCES publishes (id),
    rollout_id    INTEGER REFERENCES rollouts (id),
    state         TEXT NOT NULL,                  -- `assigned`, then what the edge says of it; `replaced` by another
    reason        TEXT,
    watch         TEXT NOT NULL,                  -- JSON
    created_ms    INTEGER NOT NULL,
    created_by    TEXT NOT NULL REFERENCES users (id),
    updated_ms    INTEGER NOT NULL,
    ended_ms      INTEGER
) STRICT;
CREATE INDEX assignments_by_edge ON assignments (edge_id, created_ms);
CREATE UNIQUE INDEX assignments_open ON assignments (edge_id) WHERE ended_ms IS NULL;
CREATE INDEX assignments_awaited ON assignments (rollout_id) WHERE ended_ms IS NULL;
CREATE INDEX assignments_failed ON assignments (rollout_id) WHERE state IN ('failed', 'reverted');

CREATE TABLE rollout_edges (
    rollout_id    INTEGER NOT NULL REFERENCES rollouts (id),
    edge_id       TEXT NOT NULL REFERENCES edges (id),
    wave          INTEGER NOT NULL,
    from_publish  INTEGER NOT NULL REFERENCES publishes (id),
    assignment_id TEXT REFERENCES assignments (id), -- null: its wave has not begun
    is_late       INTEGER NOT NULL DEFAULT 0,     -- the next wave did not wait for it
    back_id       TEXT REFERENCES assignments (id), -- the one that sends it back
    PRIMARY KEY (rollout_id, edge_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX rollout_edges_by_edge ON rollout_edges (edge_id);
