#!/usr/bin/env bash
# All tests, with what they need: Debian's docker-registry, skopeo and curl, and a Python
# environment with onnxruntime, pyarrow and pandas (below target/, not system-wide).
set -euo pipefail
cd "$(dirname "$0")"
tests/setup.sh
cargo test --locked "$@"
