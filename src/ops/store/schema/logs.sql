-- Logs: where the frames of the journals lie, how far each journal has come, what was lost.
-- Times are milliseconds since the epoch.
CREATE TABLE log_segments (
    id            INTEGER PRIMARY KEY AUTOINCREMENT, -- its file's name
    pipeline_id   INTEGER NOT NULL REFERENCES pipelines (id),
    day           TEXT NOT NULL,                  -- `2026-11-28`: when it was begun
    bytes         INTEGER NOT NULL,               -- as many of its file count; behind them lies nothing of ours
    created_ms    INTEGER NOT NULL
) STRICT;

CREATE INDEX log_segments_by_day ON log_segments (pipeline_id, day);

CREATE TABLE log_journals (
    id            INTEGER PRIMARY KEY,
    edge_id       TEXT NOT NULL REFERENCES edges (id),
    journal       TEXT NOT NULL,                  -- a UUID that the device made
    next_seq      INTEGER NOT NULL,               -- the first number that is not here for good
    told_seq      INTEGER,                        -- this one was asked for again, after a gap
    UNIQUE (edge_id, journal)
) STRICT;

-- One for each frame of records that counts.
CREATE TABLE log_frames (
    id            INTEGER PRIMARY KEY AUTOINCREMENT, -- in the order of arrival
    journal_id    INTEGER NOT NULL REFERENCES log_journals (id),
    first_seq     INTEGER NOT NULL,
    from_seq      INTEGER NOT NULL,               -- records before this one came in another frame
    count         INTEGER NOT NULL,               -- from that one on
    row_count     INTEGER NOT NULL,               -- of the whole frame
    failures      INTEGER NOT NULL,
    pipeline_id   INTEGER NOT NULL REFERENCES pipelines (id),
    version       TEXT NOT NULL,
    schema_key    INTEGER NOT NULL,               -- equal where columns and their types are
    is_summary    INTEGER NOT NULL,
    first_ms      INTEGER NOT NULL,               -- corrected
    last_ms       INTEGER NOT NULL,
    base_ms       INTEGER,                        -- when the device's monotonic clock was at 0; null: its own times hold
    time_source   TEXT NOT NULL CHECK (time_source IN ('device', 'corrected', 'unknown')),
    received_ms   INTEGER NOT NULL,
    segment_id    INTEGER NOT NULL REFERENCES log_segments (id),
    at_byte       INTEGER NOT NULL,
    bytes         INTEGER NOT NULL,
    UNIQUE (journal_id, from_seq)
) STRICT;
CREATE INDEX log_frames_by_time ON log_frames (pipeline_id, first_ms, id);
CREATE INDEX log_frames_by_arrival ON log_frames (pipeline_id, id);
-- What one edge inferred, and which frames have failures, are looked for on every page of an edge.
CREATE INDEX log_frames_by_edge ON log_frames (journal_id, first_ms, count, failures);
CREATE INDEX log_frames_with_failures ON log_frames (pipeline_id, first_ms, id) WHERE failures > 0;
CREATE INDEX log_frames_by_segment ON log_frames (segment_id);

CREATE TABLE log_losses (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    journal_id    INTEGER NOT NULL REFERENCES log_journals (id),
    pipeline_id   INTEGER NOT NULL REFERENCES pipelines (id), -- what the edge ran when it told
    first_seq     INTEGER NOT NULL,
    count         INTEGER NOT NULL,               -- 0: nobody knows how many
    reason        TEXT NOT NULL,                  -- the device's `cap`, `disk`, `crash`, `queue`, `size`; ours `gap`
    at_ms         INTEGER NOT NULL,               -- corrected
    told_ms       INTEGER NOT NULL,               -- as the device told: the same each time that it tells it
    received_ms   INTEGER NOT NULL,
    UNIQUE (journal_id, first_seq, reason, told_ms)
) STRICT;
CREATE INDEX log_losses_by_pipeline ON log_losses (pipeline_id, at_ms);
