#!/usr/bin/env python3
"""Quantises nets in every form of onnxruntime's quantiser, and writes what onnxruntime answers.

    make.py DIR [tiny|large]    writes DIR/NAME.onnx and DIR/NAME.json, as tests/fixtures/ml/case.py does

Beside inputs and outputs the JSON has `step`: what one step of quantisation is at the output. It is
the scale of the last quantisation before it, or, where values are quantised as they come, an 8-bit
step of the range that the output has. And it has `literal`: what onnxruntime answers without its
optimisations, which is some steps from what it answers with them for a few of these nets.
"""

import json
import logging
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "fixtures/ml"))

import numpy as np
import onnx
import onnxruntime
from case import answers, write, written
from nets import large, small, tiny
from onnx import numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static

logging.disable(logging.WARNING)
KINDS = {"u8": QuantType.QUInt8, "s8": QuantType.QInt8}
ROWS_TAUGHT, ROWS_ASKED = 16, 4
# Of the tiny ones these forms are kept.
KEPT = ("qdq_u8s8_channel", "qoperator_s8s8_tensor", "dynamic_u8")


class Rows(CalibrationDataReader):
    def __init__(self, rows):
        self.rest = iter([{"x": row[None]} for row in rows])

    def get_next(self):
        return next(self.rest, None)


def forms():
    for style in (QuantFormat.QDQ, QuantFormat.QOperator):
        for kinds in ("u8s8", "s8s8", "u8u8"):
            for grain in ("tensor", "channel"):
                # onnxruntime has no kernels for weights without a sign along channels.
                if (kinds, grain) != ("u8u8", "channel"):
                    yield style, kinds, grain


def quantised(float_model, rows):
    """Each form with its name."""
    with tempfile.TemporaryDirectory() as place:
        source, target = Path(place) / "float.onnx", Path(place) / "quantised.onnx"
        onnx.save(float_model, source)
        recurrent = any(node.op_type == "LSTM" for node in float_model.graph.node)
        for style, kinds, grain in forms():
            if recurrent:
                break  # the quantiser knows recurrent layers with values quantised as they come alone
            quantize_static(
                source, target, Rows(rows), quant_format=style, per_channel=grain == "channel",
                activation_type=KINDS[kinds[:2]], weight_type=KINDS[kinds[2:]],
            )
            yield f"{style.name.lower()}_{kinds}_{grain}", onnx.load(target)
        for kind in KINDS:
            quantize_dynamic(source, target, weight_type=KINDS[kind])
            yield f"dynamic_{kind}", onnx.load(target)


def step(model, answer):
    """What one step is at the output: back to the scale that is next to it."""
    makers = {output: node for node in model.graph.node for output in node.output}
    scales = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    name = model.graph.output[0].name
    while name in makers:
        node = makers[name]
        if node.op_type == "DequantizeLinear" and node.input[1] in scales:
            return float(scales[node.input[1]])
        if node.op_type not in ("Identity", "Squeeze", "Reshape"):
            break
        name = node.input[0]
    return float(answer.max() - answer.min()) / 255.0


def literal(model, inputs):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return [("y", session.run(None, inputs)[0])]


def main():
    directory = Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)
    for old in directory.iterdir():
        old.unlink()
    size = sys.argv[2] if len(sys.argv) > 2 else "small"
    sizes = {"tiny": tiny, "small": small, "large": large}[size]()
    for name, (float_model, shape) in sizes.items():
        random = np.random.default_rng(len(name))
        taught = random.standard_normal((ROWS_TAUGHT, *shape)).astype(np.float32)
        asked = random.standard_normal((ROWS_ASKED, *shape)).astype(np.float32)
        if size == "tiny":
            asked = np.round(asked[:2] * 4) / 4  # few digits
        for form, model in quantised(float_model, taught):
            if size == "tiny" and form not in KEPT:
                continue
            model.ir_version = 8
            try:
                outputs = answers(model, {"x": asked})
            except Exception as error:  # noqa: BLE001: what onnxruntime does not run is no case
                print(f"left out {name}_{form}: {str(error)[:160]}", file=sys.stderr)
                continue
            write(directory, f"{name}_{form}", model, {"x": asked}, outputs)
            path = directory / f"{name}_{form}.json"
            case = json.loads(path.read_text())
            case["step"] = step(model, outputs[0][1])
            case["literal"] = [written(*one) for one in literal(model, {"x": asked})]
            path.write_text(json.dumps(case))


if __name__ == "__main__":
    main()
