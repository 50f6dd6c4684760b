#!/usr/bin/env bash
# Unpacks the backend tests' models and values from the `onnx` wheel into target/conformance/data.
# A second run finds them there and changes nothing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

requirements=tests/conformance/requirements.txt
place=target/conformance
compare() {
  if ! cmp -s tests/conformance/compare.py "$place/compare.py"; then
    rm -rf "$place/data/onnxruntime"
    target/python/bin/python tests/conformance/compare.py "$place/data/onnxruntime"
    cp tests/conformance/compare.py "$place/compare.py"
  fi
}

if cmp -s "$requirements" "$place/requirements.txt"; then
  echo "setup: $place has the data of $requirements"
  compare
  exit 0
fi
echo "setup: fetching the data of $requirements into $place"
mkdir -p "$place"
rm -rf "$place/wheel" "$place/data"
target/python/bin/python -m pip download --quiet --disable-pip-version-check --no-deps \
  --only-binary :all: --dest "$place/wheel" -r "$requirements"
target/python/bin/python - "$place" <<'PYTHON'
import pathlib, sys, zipfile

place = pathlib.Path(sys.argv[1])
prefix = "onnx/backend/test/data/"
(wheel,) = (place / "wheel").glob("onnx-*.whl")
with zipfile.ZipFile(wheel) as archive:
    for member in archive.infolist():
        if member.filename.startswith(prefix) and not member.is_dir():
            target = place / "data" / member.filename[len(prefix):]
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(archive.read(member))
PYTHON
rm -rf "$place/wheel"
# Last, so that an unpacking that was interrupted is done again.
cp "$requirements" "$place/requirements.txt"
compare
