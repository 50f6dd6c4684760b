"""Python's readers, asked line by line on standard input: `time READER FILE SECONDS` or `peak READER FILE`."""

import json
import sys
import time

import numpy as np
import pyarrow as pa
import pyarrow.json


def python_json(body):
    return np.asarray([row["tensor"] for row in json.loads(body)], dtype=np.float32)


def pyarrow_json(body):
    # One block: a row does not fit its usual mebibyte.
    options = pyarrow.json.ReadOptions(block_size=len(body) + 1)
    schema = pa.schema({"tensor": pa.list_(pa.float32())})
    parse = pyarrow.json.ParseOptions(explicit_schema=schema)
    return pyarrow.json.read_json(pa.BufferReader(body), options, parse)


def pyarrow_ipc(body):
    return pa.ipc.open_file(pa.BufferReader(body)).read_all()


READERS = {"json": python_json, "pyarrow.json": pyarrow_json, "pyarrow": pyarrow_ipc}


def status(name):
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith(name))


def timed(read, body, seconds):
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        read(body)
        count += 1
    return (time.perf_counter() - start) / count


def peak(read, body):
    """KiB above what is resident before."""
    with open("/proc/self/clear_refs", "w") as refs:
        refs.write("5")
    before = status("VmRSS")
    kept = read(body)
    after = status("VmHWM")
    del kept
    return after - before


pa.set_cpu_count(1)
for line in sys.stdin:
    words = line.split()
    with open(words[2], "rb") as file:
        body = file.read()
    if words[0] == "time":
        print(timed(READERS[words[1]], body, float(words[3])), flush=True)
    else:
        print(peak(READERS[words[1]], body), flush=True)
