-- Drift: what columns are held against, and how many values of the logs are in each of their bins.
-- Times are milliseconds since the epoch.
CREATE TABLE drift_baselines (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    pipeline_id   INTEGER NOT NULL REFERENCES pipelines (id),
    name          TEXT NOT NULL,
    origin        TEXT NOT NULL,                  -- JSON: the window of logs or the file that it was made of
    columns       TEXT NOT NULL,                  -- JSON: each column with its bins
    row_count     INTEGER NOT NULL,
    left_out      INTEGER NOT NULL,               -- columns and elements that there was no room for
    counted_frame INTEGER NOT NULL,               -- frames of the logs up to this one are in drift_counts
    created_ms    INTEGER NOT NULL,
    created_by    TEXT NOT NULL REFERENCES users (id),
    UNIQUE (pipeline_id, name)
) STRICT;

-- What edges inferred in an hour, in the bins of a baseline.
CREATE TABLE drift_counts (
    baseline_id   INTEGER NOT NULL REFERENCES drift_baselines (id) ON DELETE CASCADE,
    edge          TEXT NOT NULL,                  -- its name; empty: all edges together
    hour          INTEGER NOT NULL,               -- hours since the epoch
    row_count     INTEGER NOT NULL,
    counts        BLOB NOT NULL,                  -- a variable-length number for each bin of each column
    PRIMARY KEY (baseline_id, edge, hour)
) STRICT, WITHOUT ROWID;
CREATE INDEX drift_counts_by_hour ON drift_counts (baseline_id, hour, edge, row_count);
