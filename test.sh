#!/usr/bin/env bash
# All tests, with what they need: Debian's docker-registry, skopeo, curl and Chromium, and a
# Python environment with onnxruntime, pyarrow, pandas and selenium (below target/, not system-wide).
set -euo pipefail
cd "$(dirname "$0")"
tests/setup.sh
cargo test --locked "$@"
