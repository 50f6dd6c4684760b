-- The files beside models that hold weights of theirs, of versions and of uploads under way.
CREATE TABLE model_files (
    model_version_id INTEGER NOT NULL REFERENCES model_versions (id),
    location      TEXT NOT NULL,                  -- as the model writes it; never a name on our disk
    sha           TEXT NOT NULL,                  -- 64 hex digits: the blob
    size_bytes    INTEGER NOT NULL,
    PRIMARY KEY (model_version_id, location)
) STRICT, WITHOUT ROWID;
CREATE INDEX model_files_by_sha ON model_files (sha);

-- The same of an upload that is under way: they came whole, and the model's own file has not yet.
CREATE TABLE upload_files (
    upload_id     TEXT NOT NULL REFERENCES uploads (id),
    location      TEXT NOT NULL,
    sha           TEXT NOT NULL,
    size_bytes    INTEGER NOT NULL,
    PRIMARY KEY (upload_id, location)
) STRICT, WITHOUT ROWID;
