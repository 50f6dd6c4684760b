"""What both peers share: a model in onnxruntime, bodies to arrays, arrays to the record list.

Written for speed, as a service of one's own would be: orjson, arrays without copies where pyarrow
allows it, and an answer that is bytes before the framework sees it.
"""

import hashlib
import os
import time
import uuid

import numpy as np
import onnxruntime
import orjson
import pyarrow as pa

ARROW = "application/vnd.apache.arrow.file"

KEYS = {np.dtype(np.float32): "Float", np.dtype(np.float64): "Double", np.dtype(np.int64): "Int64"}


def threads():
    """As many as the engine under test has compute threads."""
    return int(os.environ.get("CONFIG_CPUS", "2"))


class Model:
    def __init__(self, path, name):
        with open(path, "rb") as file:
            content = file.read()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads()
        options.inter_op_num_threads = 1
        # Threads that spin for more work take the cores from the ones that have some; without
        # it each of these servers is faster here (benches/README.md).
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.session = onnxruntime.InferenceSession(
            content, options, providers=["CPUExecutionProvider"]
        )
        (put,) = self.session.get_inputs()
        self.input, self.row_shape = put.name, put.shape[1:]
        self.name = name
        self.version = str(uuid.uuid5(uuid.NAMESPACE_OID, hashlib.sha256(content).hexdigest()))

    def answer(self, body, is_arrow):
        """A request's body to the answer's body."""
        start = time.perf_counter_ns()
        values = self.from_arrow(body) if is_arrow else self.from_records(body)
        rows = values.reshape(-1, *self.row_shape)
        read = time.perf_counter_ns()
        outputs = self.session.run(None, {self.input: rows})
        ran = time.perf_counter_ns()
        record = {
            "check_failures": [],
            "elapsed": [read - start, ran - read],
            "model_name": self.name,
            "model_version": self.version,
            "original_data": None,
            "outputs": [
                {KEYS[out.dtype]: {"data": out.ravel(), "dim": out.shape, "v": 1}}
                for out in outputs
            ],
            "pipeline_name": self.name,
            "shadow_data": {},
            "time": time.time_ns() // 1_000_000,
        }
        return orjson.dumps([record], option=orjson.OPT_SERIALIZE_NUMPY)

    def from_records(self, body):
        records = orjson.loads(body)
        return np.array([record[self.input] for record in records], dtype=np.float32)

    def from_arrow(self, body):
        """The only column, flat; without a copy when it is one batch."""
        column = pa.ipc.open_file(pa.py_buffer(body)).read_all().column(0)
        array = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
        return array.flatten().to_numpy()
