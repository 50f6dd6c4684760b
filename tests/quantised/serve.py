#!/usr/bin/env python3
"""Runs the nets of make.py in onnxruntime, as often as it is told: `NAME TIMES` a line.

    serve.py DIR
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime

directory = Path(sys.argv[1])
sessions = {}


def session(name):
    """The session and the first row of the case."""
    if name not in sessions:
        sessions.clear()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 4
        made = onnxruntime.InferenceSession(
            str(directory / f"{name}.onnx"), options, providers=["CPUExecutionProvider"]
        )
        written = json.loads((directory / f"{name}.json").read_text())["inputs"][0]
        row = np.array(written["data"], np.float32).reshape(written["dim"])[:1]
        sessions[name] = (made, {"x": np.ascontiguousarray(row)})
    return sessions[name]


for line in sys.stdin:
    name, times = line.split()
    run, inputs = session(name)
    for _ in range(int(times)):
        run.run(None, inputs)
    print("done", flush=True)
