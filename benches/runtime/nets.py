#!/usr/bin/env python3
"""The nets of benches/runtime, and of benches/start: shapes that people run, with weights at random.

    nets.py make DIR          writes DIR/NAME.onnx and DIR/noise.f32; what is there stays
    nets.py make DIR NAME     only this net

- mlp: 29 features, hidden layers of 512, 512 and 256, as a fraud score;
- lstm: two layers of 64 over 50 steps of 16 readings, and a score;
- minilm: one layer of MiniLM-L6 (12 heads, 384 wide, 1,536 inside) over 128 tokens of embeddings;
- resnet50, mobilenet_v2: the convolutional nets of these names, batch normalisation folded in, as
  exporters leave them;
- NAME_qdq: the same quantised by onnxruntime's own quantiser (QDQ, uint8 activations, int8 weights).

What a net costs does not depend on what it has learned, as long as its values stay in range: weights
are scaled by the number of their inputs.
"""

import logging
import sys
import tempfile
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper, save


class Net:
    """A graph under construction; each call adds a node and gives the name of what it makes."""

    def __init__(self, seed):
        self.random = np.random.default_rng(seed)
        self.nodes, self.stored = [], []

    def weight(self, shape, inputs, gain=1.0):
        values = self.random.standard_normal(shape, dtype=np.float32)
        return self.constant(values * np.float32(gain / np.sqrt(inputs)))

    def constant(self, values):
        name = f"w{len(self.stored)}"
        self.stored.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def add(self, operator, *inputs, outputs=1, **attributes):
        names = [f"{operator.lower()}{len(self.nodes)}_{number}" for number in range(outputs)]
        self.nodes.append(helper.make_node(operator, inputs, names, name=names[0], **attributes))
        return names[0] if outputs == 1 else names

    def conv(self, x, given, made, kernel=1, stride=1, group=1, gain=1.4):
        inputs = given // group * kernel * kernel
        weights = self.weight((made, given // group, kernel, kernel), inputs, gain)
        bias = self.constant(np.full(made, 0.01, np.float32))
        pad = kernel // 2
        return self.add(
            "Conv",
            x,
            weights,
            bias,
            kernel_shape=[kernel, kernel],
            strides=[stride, stride],
            pads=[pad] * 4,
            group=group,
            dilations=[1, 1],
        )

    def dense(self, x, given, made, gain=1.4):
        weights = self.weight((made, given), given, gain)
        return self.add("Gemm", x, weights, self.constant(np.zeros(made, np.float32)), transB=1)

    def model(self, name, inputs, output):
        given = [helper.make_tensor_value_info(*one) for one in inputs]
        made = [helper.make_tensor_value_info(output[0], TensorProto.FLOAT, output[1])]
        graph = helper.make_graph(self.nodes, name, given, made, self.stored)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
        model.ir_version = 8
        return model


def image():
    return ("input", TensorProto.FLOAT, ["batch", 3, 224, 224])


def resnet50():
    net = Net(50)
    x = net.add("Relu", net.conv("input", 3, 64, 7, 2))
    x = net.add("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    given = 64
    for stage, blocks in enumerate((3, 4, 6, 3)):
        inside = 64 << stage
        for block in range(blocks):
            stride = 2 if stage > 0 and block == 0 else 1
            y = net.add("Relu", net.conv(x, given, inside))
            y = net.add("Relu", net.conv(y, inside, inside, 3, stride))
            y = net.conv(y, inside, inside * 4, gain=0.4)
            if block == 0:
                x = net.conv(x, given, inside * 4, 1, stride, gain=1.0)
            given = inside * 4
            x = net.add("Relu", net.add("Add", y, x))
    x = net.add("Flatten", net.add("GlobalAveragePool", x), axis=1)
    return net.model("resnet50", [image()], (net.dense(x, 2048, 1000), ["batch", 1000]))


def mobilenet_v2():
    net = Net(2)
    ends = [net.constant(np.float32(0)), net.constant(np.float32(6))]
    x = net.add("Clip", net.conv("input", 3, 32, 3, 2), *ends)
    given = 32
    rows = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2))
    rows += ((6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
    for widen, made, blocks, stride in rows:
        for block in range(blocks):
            y, inside = x, given * widen
            if widen > 1:
                y = net.add("Clip", net.conv(y, given, inside), *ends)
            first = stride if block == 0 else 1
            y = net.add("Clip", net.conv(y, inside, inside, 3, first, group=inside), *ends)
            y = net.conv(y, inside, made, gain=0.7)
            x = net.add("Add", x, y) if block > 0 else y
            given = made
    x = net.add("Clip", net.conv(x, 320, 1280), *ends)
    x = net.add("Flatten", net.add("GlobalAveragePool", x), axis=1)
    return net.model("mobilenet_v2", [image()], (net.dense(x, 1280, 1000), ["batch", 1000]))


def mlp():
    net = Net(29)
    x, given = "input", 29
    for made in (512, 512, 256):
        x, given = net.add("Relu", net.dense(x, given, made)), made
    x = net.add("Sigmoid", net.dense(x, given, 1))
    return net.model("mlp", [("input", TensorProto.FLOAT, ["batch", 29])], (x, ["batch", 1]))


def lstm():
    net = Net(64)
    x = net.add("Transpose", "input", perm=[1, 0, 2])
    for given in (16, 64):
        weights = net.weight((1, 4 * 64, given), 64)
        states = net.weight((1, 4 * 64, 64), 64)
        bias = net.weight((1, 8 * 64), 64)
        y = net.add("LSTM", x, weights, states, bias, outputs=3, hidden_size=64)
        x = net.add("Squeeze", y[0], net.constant(np.array([1])))
    x = net.add("Gather", x, net.constant(np.array(49)), axis=0)
    x = net.dense(x, 64, 4)
    return net.model("lstm", [("input", TensorProto.FLOAT, ["batch", 50, 16])], (x, ["batch", 4]))


def minilm():
    net, wide, heads, inside = Net(6), 384, 12, 1536
    one, zero = np.ones(wide, np.float32), np.zeros(wide, np.float32)

    def linear(x, given, made):
        x = net.add("MatMul", x, net.weight((given, made), given))
        return net.add("Add", x, net.constant(np.full(made, 0.01, np.float32)))

    def normal(x):
        return net.add("LayerNormalization", x, net.constant(one), net.constant(zero), axis=-1, epsilon=1e-12)

    def head(x, perm):
        x = net.add("Reshape", x, net.constant(np.array([0, 0, heads, wide // heads])))
        return net.add("Transpose", x, perm=perm)

    x = normal("input")
    q = head(linear(x, wide, wide), [0, 2, 1, 3])
    k = head(linear(x, wide, wide), [0, 2, 3, 1])
    v = head(linear(x, wide, wide), [0, 2, 1, 3])
    scores = net.add("Div", net.add("MatMul", q, k), net.constant(np.float32(np.sqrt(wide // heads))))
    y = net.add("MatMul", net.add("Softmax", scores, axis=-1), v)
    y = net.add("Transpose", y, perm=[0, 2, 1, 3])
    y = net.add("Reshape", y, net.constant(np.array([0, 0, wide])))
    x = normal(net.add("Add", linear(y, wide, wide), x))
    y = linear(x, wide, inside)
    half = net.add("Div", y, net.constant(np.float32(np.sqrt(2))))
    half = net.add("Add", net.add("Erf", half), net.constant(np.float32(1)))
    y = net.add("Mul", net.add("Mul", y, half), net.constant(np.float32(0.5)))
    x = normal(net.add("Add", linear(y, inside, wide), x))
    given = ("input", TensorProto.FLOAT, ["batch", 128, wide])
    return net.model("minilm", [given], (x, ["batch", 128, wide]))


def quantised(net, path):
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    shape = [1 if isinstance(one.dim_param, str) and one.dim_param else one.dim_value
             for one in net.graph.input[0].type.tensor_type.shape.dim]

    class Samples(CalibrationDataReader):
        def __init__(self):
            random = np.random.default_rng(8)
            samples = [random.standard_normal(shape, dtype=np.float32) for _ in range(4)]
            self.rest = iter({"input": sample} for sample in samples)

        def get_next(self):
            return next(self.rest, None)

    with tempfile.TemporaryDirectory() as directory:
        plain = Path(directory) / "plain.onnx"
        save(net, plain)
        quantize_static(
            str(plain),
            str(path),
            Samples(),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
        )


NETS = {net.__name__: net for net in (mlp, lstm, minilm, mobilenet_v2, resnet50)}
NOISE = 8 * 3 * 224 * 224  # values: eight images
QUANTISED = ("mlp", "mobilenet_v2", "resnet50")


def make(directory, only=None):
    directory.mkdir(parents=True, exist_ok=True)
    noise = directory / "noise.f32"
    if not noise.exists():
        np.random.default_rng(1).standard_normal(NOISE, dtype=np.float32).tofile(noise)
    for name in [*NETS, *(f"{name}_qdq" for name in QUANTISED)]:
        path = directory / f"{name}.onnx"
        if path.exists() or only not in (None, name):
            continue
        unfinished = directory / f".{name}.unfinished"
        if name in NETS:
            save(NETS[name](), unfinished)
        else:
            quantised(NETS[name.removesuffix("_qdq")](), unfinished)
        unfinished.rename(path)


if __name__ == "__main__":
    logging.disable(logging.WARNING)  # the quantiser recommends another tool each time
    make(Path(sys.argv[2]), *sys.argv[3:])
