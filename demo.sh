#!/usr/bin/env bash
# The main job on one machine: an ops center with a registry of its own, a sample pipeline published
# there, an edge, and an engine that runs it. Shows one inference, and stays up until Ctrl-C.
set -euo pipefail
cd "$(dirname "$0")"

port="${POTOROO_DEMO_PORT:-8080}"
ops_port="${POTOROO_DEMO_OPS_PORT:-8090}"
unset POTOROO_DEMO_PORT POTOROO_DEMO_OPS_PORT # the engine refuses what it takes for misspelt settings of its own
home=target/demo
cargo build --bins
rm -rf "$home"
mkdir -p "$home"
umask 077

# Whatever is started here ends with it.
started=()
end() {
    trap - EXIT
    for process in "${started[@]}"; do kill "$process" 2>/dev/null || true; done
    wait 2>/dev/null || true
}
trap end EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# bash speaks HTTP itself, so that the demo needs nothing that a fresh machine lacks.
ask() { # PORT REQUEST
    exec 3<>"/dev/tcp/127.0.0.1/$1"
    printf '%s' "$2" >&3
    cat <&3
    exec 3>&-
}
await() { # PORT PATH PROCESS
    until (ask "$1" "GET $2 HTTP/1.0"$'\r\n\r\n' | grep -q '^HTTP/1.. 200') 2>/dev/null; do
        kill -0 "$3" 2>/dev/null || { wait "$3"; exit 1; }
        sleep 0.2
    done
}
value() { # KEY, of JSON with a line for each
    sed -n "s/^ *\"$1\": \"\(.*\)\",\{0,1\}$/\1/p" | head -n 1
}

echo "== start the ops center; its log is $home/ops.log"
email=admin@example.com
head -c 18 /dev/urandom | base64 > "$home/password"
ops=target/debug/potoroo-ops
"$ops" serve --data "$home/center" --listen "127.0.0.1:$ops_port" \
    --admin-email "$email" --admin-password-file "$home/password" > "$home/ops.log" 2>&1 &
started+=($!)
await "$ops_port" /v1/api/config "${started[0]}" || { cat "$home/ops.log"; exit 1; }

export XDG_CONFIG_HOME="$PWD/$home/config" # where `login` keeps its token
export POTOROO_OPS_URL="http://127.0.0.1:$ops_port"
echo
echo "== sign in, upload a model, save a pipeline, publish it, add an edge"
set -x
"$ops" login "$email" --password-file "$home/password"
"$ops" model upload tests/fixtures/models/fraud.onnx --name fraud-mlp
"$ops" pipeline create tests/fixtures/pipelines/fraud.yaml
"$ops" publish start fraud
{ set +x; } 2>/dev/null
echo "+ $ops edge add demo-edge --publish 1 --json > $home/edge.json"
"$ops" edge add demo-edge --publish 1 --json > "$home/edge.json"

echo
echo "== run the engine with what the edge was given"
bundle="$(value EDGE_BUNDLE < "$home/edge.json")"
OCI_USERNAME="$(value username < "$home/edge.json")" \
OCI_PASSWORD="$(value password < "$home/edge.json")" \
PIPELINE_URL="$(value pipeline_url < "$home/edge.json")" \
OCI_REGISTRY="127.0.0.1:$ops_port" EDGE_BUNDLE="$bundle" CONFIG_CPUS=1 \
POTOROO_LISTEN="127.0.0.1:$port" POTOROO_PERSIST="$home/persist" \
    target/debug/potoroo-engine &
started+=($!)
await "$port" /healthz "${started[1]}"

echo
echo "== one inference: POST /pipelines/fraud with one row of 29 values"
body="$(cat tests/fixtures/requests/fraud_1.json)"
ask "$port" "$(printf 'POST /pipelines/fraud HTTP/1.0\r\nContent-Type: application/json; format=pandas-records\r\nContent-Length: %d\r\n\r\n%s' "${#body}" "$body")" \
    | tail -n 1
echo
echo
echo "ops center: http://127.0.0.1:$ops_port in a browser, with $email and the password in $home/password"
echo "engine:     http://127.0.0.1:$port"
echo "Try:"
echo "  curl localhost:$port/pipelines"
echo "  curl localhost:$port/models"
echo "  curl -X POST localhost:$port/pipelines/fraud -H 'Content-Type: application/json; format=pandas-records' --data-binary @tests/fixtures/requests/fraud_1.json"
echo "  XDG_CONFIG_HOME=$home/config POTOROO_OPS_URL=$POTOROO_OPS_URL $ops edge list"
echo "  XDG_CONFIG_HOME=$home/config POTOROO_OPS_URL=$POTOROO_OPS_URL $ops logs fraud"
echo "Ctrl-C ends both."
wait -n "${started[@]}"
