"""Fills the records of an ops center: a user with a token, a published pipeline, edges that may join."""

import hashlib
import json
import sqlite3
import sys
import uuid

records, edges, token, version = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
with sqlite3.connect(records) as db:
    user = str(uuid.uuid4())
    db.execute(
        "INSERT INTO users (id, email, is_admin, is_enabled, created_ms) VALUES (?, 'bench@example.com', 1, 1, 1)",
        (user,),
    )
    row = db.execute("INSERT INTO workspaces (name, created_ms, created_by) VALUES ('bench', 1, ?)", (user,))
    db.execute(
        "INSERT INTO tokens (kind, hash, user_id, created_ms) VALUES ('api', ?, ?, 1)",
        (hashlib.sha256(token.encode()).digest(), user),
    )
    row = db.execute(
        "INSERT INTO pipelines (workspace_id, name, created_ms, updated_ms, created_by) VALUES (?, 'fraud', 1, 1, ?)",
        (row.lastrowid, user),
    )
    row = db.execute(
        "INSERT INTO pipeline_versions (pipeline_id, version, definition, config, created_ms, created_by)"
        " VALUES (?, ?, '{}', '{}', 1, ?)",
        (row.lastrowid, version, user),
    )
    row = db.execute(
        "INSERT INTO publishes (pipeline_version_id, status, created_ms, updated_ms, created_by, engine_config, next_ms)"
        " VALUES (?, 'Published', 1, 1, ?, ?, 0)",
        (row.lastrowid, user, json.dumps({"engine": {}})),
    )
    publish = row.lastrowid
    for number in range(edges):
        edge = str(uuid.uuid4())
        db.execute(
            "INSERT INTO edges (id, name, publish_id, cpus, memory, created_ms, created_by)"
            " VALUES (?, ?, ?, 4.0, '3Gi', 1, ?)",
            (edge, f"edge-{number}", publish, user),
        )
        db.execute(
            "INSERT INTO join_tokens (hash, edge_id, created_ms, expires_ms) VALUES (?, ?, 1, 4102444800000)",
            (hashlib.sha256(f"token-{number}".encode()).digest(), edge),
        )
