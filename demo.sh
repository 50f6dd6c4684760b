#!/usr/bin/env bash
# The main job on one machine: publishes a sample pipeline into a local image layout, serves it
# with the engine, shows one inference, and stays up until Ctrl-C.
set -euo pipefail
cd "$(dirname "$0")"

port="${POTOROO_DEMO_PORT:-8080}"
unset POTOROO_DEMO_PORT # the engine refuses what it takes for a misspelt setting of its own
home=target/demo
cargo build --bins
rm -rf "$home"
mkdir -p "$home"

echo "== publish tests/fixtures/pipelines/fraud.yaml into $home/layout"
target/debug/potoroo-ops publish tests/fixtures/pipelines/fraud.yaml --layout "$home/layout" \
    | tee "$home/publish.txt"
pipeline_url="$(sed -n 's/^pipeline_url: //p' "$home/publish.txt")"

echo
echo "== serve it"
PIPELINE_URL="$pipeline_url" POTOROO_LISTEN="127.0.0.1:$port" POTOROO_PERSIST="$home/persist" \
    target/debug/potoroo-engine &
engine=$!
trap 'kill "$engine" 2>/dev/null; wait "$engine" 2>/dev/null || true' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# bash speaks HTTP itself, so that the demo needs nothing that a fresh machine lacks.
ask() {
    exec 3<>"/dev/tcp/127.0.0.1/$port"
    printf '%s' "$1" >&3
    cat <&3
    exec 3>&-
}
until (ask $'GET /healthz HTTP/1.0\r\n\r\n' | grep -q '200 OK') 2>/dev/null; do
    kill -0 "$engine" 2>/dev/null || { wait "$engine"; exit 1; }
    sleep 0.2
done

echo
echo "== one inference: POST /pipelines/fraud with one row of 29 values"
body="$(cat tests/fixtures/requests/fraud_1.json)"
ask "$(printf 'POST /pipelines/fraud HTTP/1.0\r\nContent-Type: application/json; format=pandas-records\r\nContent-Length: %d\r\n\r\n%s' "${#body}" "$body")" \
    | tail -n 1
echo
echo
echo "The engine stays up at http://127.0.0.1:$port. Try:"
echo "  curl localhost:$port/pipelines"
echo "  curl localhost:$port/models"
echo "  curl -X POST localhost:$port/pipelines/fraud -H 'Content-Type: application/json; format=pandas-records' --data-binary @tests/fixtures/requests/fraud_1.json"
echo "Ctrl-C ends it."
wait "$engine"
