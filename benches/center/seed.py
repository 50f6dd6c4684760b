"""Fills the records of an ops center: a user with a token, pipelines, publishes that are there, edges, frames of logs."""

import hashlib
import sqlite3
import sys
import uuid

PIPELINES = 100
ENGINE_CONFIG = (
    '{"engine":{"resources":{"limits":{"cpu":4.0,"memory":"3Gi"},"requests":{"cpu":4.0,"memory":"3Gi"}}},'
    '"enginelb":{"resources":{"limits":{"cpu":1.0,"memory":"512Mi"},"requests":{"cpu":0.2,"memory":"512Mi"}}},'
    '"engineAux":{}}'
)

records, publishes, edges, token = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
frames, pipeline, log_version = sys.argv[5], int(sys.argv[6]), sys.argv[7]
with sqlite3.connect(records) as db:
    user = str(uuid.uuid4())
    db.execute(
        "INSERT INTO users (id, email, is_admin, is_enabled, created_ms) VALUES (?, 'bench@example.com', 1, 1, 1)",
        (user,),
    )
    made = db.execute("INSERT INTO workspaces (name, created_ms, created_by) VALUES ('bench', 1, ?)", (user,))
    workspace = made.lastrowid
    db.execute(
        "INSERT INTO tokens (kind, hash, user_id, created_ms) VALUES ('api', ?, ?, 1)",
        (hashlib.sha256(token.encode()).digest(), user),
    )
    versions = []
    for number in range(PIPELINES):
        name, version = f"pipeline-{number}", str(uuid.uuid4())
        made = db.execute(
            "INSERT INTO pipelines (workspace_id, name, created_ms, updated_ms, created_by) VALUES (?, ?, 1, 1, ?)",
            (workspace, name, user),
        )
        made = db.execute(
            "INSERT INTO pipeline_versions (pipeline_id, version, definition, config, created_ms, created_by)"
            " VALUES (?, ?, '{}', '{}', 1, ?)",
            (made.lastrowid, version, user),
        )
        versions.append((made.lastrowid, name, version))
    for number in range(publishes):
        row, name, version = versions[number % PIPELINES]
        registry = "registry.example.com/team"
        digest = "sha256:" + uuid.uuid4().hex * 2
        db.execute(
            "INSERT INTO publishes (pipeline_version_id, status, created_ms, updated_ms, created_by, engine_config,"
            " pipeline_url, engine_url, chart_reference, chart, chart_version, digest, bytes_total, attempts, next_ms)"
            " VALUES (?, 'Published', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1000000, 1, 0)",
            (
                row, number, number, user, ENGINE_CONFIG, f"{registry}/pipelines/{name}:{version}",
                f"{registry}/engines/potoroo-engine:v0.1.0", f"{registry}/charts@{digest}",
                f"{registry}/charts/{name}", f"0.0.1-{version}", digest,
            ),
        )
    first = db.execute("SELECT min(id) FROM publishes").fetchone()[0]
    for number in range(edges):
        edge = str(uuid.uuid4())
        tags = f'["site-{number % 50}","floor-{number % 3}"]'
        db.execute(
            "INSERT INTO edges (id, name, publish_id, tags, cpus, memory, created_ms, created_by)"
            " VALUES (?, ?, ?, ?, 4.0, '3Gi', 1, ?)",
            (edge, f"edge-{number:05}", first + number * 7 % publishes, tags, user),
        )
        db.execute(
            "INSERT INTO join_tokens (hash, edge_id, created_ms, expires_ms) VALUES (?, ?, 1, 86400001)",
            (uuid.uuid4().bytes * 2, edge),
        )
    # What logs.rs wrote into files: segment, edge, byte, bytes, rows, failures, first and last time.
    ids = dict(db.execute("SELECT name, id FROM edges"))
    journals, following, lengths = {}, {}, {}
    lines = [[int(part) for part in line.split()] for line in open(frames)]
    for segment, _, at, length, *_ in lines:
        lengths[segment] = max(lengths.get(segment, 0), at + length)
    for segment, length in lengths.items():
        db.execute(
            "INSERT INTO log_segments (id, pipeline_id, day, bytes, created_ms) VALUES (?, ?, '2026-01-01', ?, ?)",
            (segment, pipeline, length, lines[-1][7]),
        )
    for segment, edge, at, length, rows, failures, first_ms, last_ms in lines:
        if edge not in journals:
            made = db.execute(
                "INSERT INTO log_journals (edge_id, journal, next_seq) VALUES (?, ?, 1)",
                (ids[f"edge-{edge % edges:05}"], str(uuid.uuid4())),
            )
            journals[edge], following[edge] = made.lastrowid, 1
        db.execute(
            "INSERT INTO log_frames (journal_id, first_seq, from_seq, count, row_count, failures, pipeline_id, version,"
            " schema_key, is_summary, first_ms, last_ms, time_source, received_ms, segment_id, at_byte, bytes)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, 1, 0, ?, ?, 'device', ?, ?, ?, ?)",
            (
                journals[edge], following[edge], following[edge], rows, rows, failures, pipeline, log_version,
                first_ms, last_ms, last_ms, segment, at, length,
            ),
        )
        following[edge] += rows
    # A rollout to all of them, of which none has said anything yet.
    watch = '{"requests":0,"seconds_max":0,"failed_share_max":0.0,"nan_share_max":0.0}'
    made = db.execute(
        "INSERT INTO rollouts (workspace_id, publish_id, state, wave, waves, wave_began_ms, wave_ms_max, failures_max,"
        " sends_back, watch, created_ms, created_by) VALUES (?, ?, 'running', 1, 1, 4e12, 3600000, 0, 1, ?, 1, ?)",
        (workspace, first, watch, user),
    )
    for (edge,) in db.execute("SELECT id FROM edges").fetchall():
        assignment = str(uuid.uuid4())
        db.execute(
            "INSERT INTO assignments (id, edge_id, publish_id, replaces, rollout_id, state, watch, created_ms,"
            " created_by, updated_ms) VALUES (?, ?, ?, ?, ?, 'assigned', ?, 1, ?, 1)",
            (assignment, edge, first, first, made.lastrowid, watch, user),
        )
        db.execute(
            "INSERT INTO rollout_edges (rollout_id, edge_id, wave, from_publish, assignment_id) VALUES (?, ?, 1, ?, ?)",
            (made.lastrowid, edge, first, assignment),
        )
