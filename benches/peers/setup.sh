#!/usr/bin/env bash
# Makes target/peers, the Python environment of the servers that benches/serve.rs measures beside
# ours, and of the engine that benches/runtime does where it is installed, from requirements.txt; a second
# run finds it and changes nothing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

requirements=benches/peers/requirements.txt
python=target/peers
stamp=$python/requirements.txt

if cmp -s "$requirements" "$stamp" && [ -x "$python/bin/python" ]; then
  echo "peers: $python has what $requirements asks for"
  exit
fi

interpreter=
for candidate in python3.11 python3 /usr/bin/python3; do
  if "$candidate" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then
    interpreter=$candidate
    break
  fi
done
if [ -z "$interpreter" ]; then
  echo "peers: the pins are for Python 3.11 with venv, and there is none on PATH" >&2
  exit 1
fi

echo "peers: making $python with $requirements"
"$interpreter" -m venv --clear "$python"
"$python/bin/python" -m pip install --quiet --disable-pip-version-check \
  --only-binary :all: -r "$requirements"
# Last, so that an installation that was interrupted is done again.
cp "$requirements" "$stamp"
