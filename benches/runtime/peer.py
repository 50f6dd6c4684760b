#!/usr/bin/env python3
"""onnxruntime and OpenVINO, as benches/runtime asks for them.

    peer.py NAME version    prints which version of it there is
    peer.py NAME THREADS    runs what standard input asks for: lines of `MODEL INPUTS ROWS TIMES`

MODEL is a file; INPUTS is a file of 32-bit floats, of which the first ROWS rows are taken. Each line is
answered once it is done with one line: a checksum of the last output's values (`checked` in engines.rs)
and the nanoseconds that all runs took, or `-` where the model does not load. The same buffers are handed over each
time, so that Python adds 2 to 3 us to a run of onnxruntime (IOBinding), and 8 to one of OpenVINO. Threads of
onnxruntime that wait sleep: spinning is its default, and costs the processor time of a thread that computes
(benches/README.md). OpenVINO computes in 32 bits, whatever else the processor has, for one request at a time.
"""

import sys
import time

import numpy as np


def floats(inputs, shape):
    return np.fromfile(inputs, np.float32, count=int(np.prod(shape))).reshape(shape)


class Onnxruntime:
    ELEMENTS = {"tensor(float)": np.float32, "tensor(int64)": np.int64}

    def __init__(self, model, inputs, rows, threads):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        given = session.get_inputs()[0]
        self.binding = session.io_binding()
        self.binding.bind_cpu_input(given.name, floats(inputs, [rows, *given.shape[1:]]))
        for output in session.get_outputs():
            buffer = np.zeros([rows, *output.shape[1:]], self.ELEMENTS[output.type])
            value = onnxruntime.OrtValue.ortvalue_from_numpy(buffer)
            self.binding.bind_ortvalue_output(output.name, value)
        self.once = lambda: session.run_with_iobinding(self.binding)

    def last(self):
        return self.binding.copy_outputs_to_cpu()[-1]


class Openvino:
    def __init__(self, model, inputs, rows, threads):
        import openvino

        core = openvino.Core()
        net = core.read_model(model)
        given = net.inputs[0]
        shape = [rows, *(extent.get_length() for extent in list(given.partial_shape)[1:])]
        net.reshape({given: shape})
        asked = {
            "INFERENCE_PRECISION_HINT": "f32",
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY",
            # Beside other work a thread that may not move waits for its processor.
            "ENABLE_CPU_PINNING": False,
        }
        self.request = core.compile_model(net, "CPU", asked).create_infer_request()
        self.request.set_input_tensor(openvino.Tensor(floats(inputs, shape)))
        self.place = len(net.outputs) - 1
        self.once = lambda: self.request.infer(share_outputs=True)

    def last(self):
        return self.request.get_output_tensor(self.place).data


def run(engine, times):
    start = time.perf_counter_ns()
    for _ in range(times):
        engine.once()
    spent = time.perf_counter_ns() - start
    last = np.abs(engine.last().astype(np.float64).ravel())
    return float((last * (1 + np.arange(last.size) % 3)).sum()), spent


def main(name, threads):
    engine, asked = None, None
    for line in sys.stdin:
        model, inputs, rows, times = line.split()
        if (model, rows) != asked:
            asked = (model, rows)
            try:
                engine = {"onnxruntime": Onnxruntime, "openvino": Openvino}[name](model, inputs, int(rows), threads)
                engine.once()
            except Exception as error:
                print(f"{name} does not load {model}: {str(error).strip().splitlines()[-1:]}", file=sys.stderr)
                engine = None
        print(*(run(engine, int(times)) if engine else "-"), flush=True)


if __name__ == "__main__":
    name, what = sys.argv[1:]
    if what == "version":
        print(__import__(name).__version__)
    else:
        main(name, int(what))
