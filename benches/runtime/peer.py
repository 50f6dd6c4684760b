#!/usr/bin/env python3
"""onnxruntime, as benches/runtime asks for it.

    peer.py THREADS    runs what standard input asks for: lines of `MODEL INPUTS ROWS TIMES`

MODEL is a file; INPUTS is a file of 32-bit floats, of which the first ROWS rows are taken. Each line is
answered once it is done with one line: a checksum of the last output's values (`checked` in engines.rs)
and the nanoseconds that all runs took. The same buffers are handed over each time (IOBinding), so that Python
adds 2 to 3 us to a run. Threads that wait sleep: spinning is onnxruntime's default, and costs the
processor time of a thread that computes (benches/README.md).
"""

import sys
import time

import numpy as np
import onnxruntime

ELEMENTS = {"tensor(float)": np.float32, "tensor(int64)": np.int64}


class Bound:
    def __init__(self, model, inputs, rows, threads):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        given = self.session.get_inputs()[0]
        shape = [rows, *given.shape[1:]]
        values = np.fromfile(inputs, np.float32, count=int(np.prod(shape))).reshape(shape)
        self.binding = self.session.io_binding()
        self.binding.bind_cpu_input(given.name, values)
        for output in self.session.get_outputs():
            buffer = np.zeros([rows, *output.shape[1:]], ELEMENTS[output.type])
            value = onnxruntime.OrtValue.ortvalue_from_numpy(buffer)
            self.binding.bind_ortvalue_output(output.name, value)

    def run(self, times):
        start = time.perf_counter_ns()
        for _ in range(times):
            self.session.run_with_iobinding(self.binding)
        spent = time.perf_counter_ns() - start
        last = np.abs(self.binding.copy_outputs_to_cpu()[-1].astype(np.float64).ravel())
        return float((last * (1 + np.arange(last.size) % 3)).sum()), spent


def main(threads):
    bound, asked = None, None
    for line in sys.stdin:
        model, inputs, rows, times = line.split()
        if (model, rows) != asked:
            asked, bound = (model, rows), Bound(model, inputs, int(rows), threads)
        total, spent = bound.run(int(times))
        print(total, spent, flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
