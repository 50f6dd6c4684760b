#!/usr/bin/env python3
"""The nets of benches/runtime, and of benches/start: shapes that people run, with weights at random.

    nets.py make DIR          writes DIR/NAME.onnx and DIR/noise.f32; what is there stays
    nets.py make DIR NAME     only this net

- mlp: 29 features, hidden layers of 512, 512 and 256, as a fraud score;
- lstm: two layers of 64 over 50 steps of 16 readings, and a score;
- minilm: one layer of MiniLM-L6 (12 heads, 384 wide, 1,536 inside) over 128 tokens of embeddings;
- resnet50, mobilenet_v2, mobilenet_v3 (the small one), efficientnet_b0: the convolutional nets of these
  names, batch normalisation folded in, as exporters leave them;
- yolov8n: the detector of this name for images of 320 by 320, boxes decoded, nothing suppressed;
- vit_tiny: the transformer of images of this name, 12 layers of 192 over 197 patches;
- ocr_det, ocr_rec: PP-OCRv4 as the wheel of rapidocr has it, for 640 by 640 and for lines of 48 by 320;
- NAME_qdq: the same quantised by onnxruntime's own quantiser (QDQ, uint8 activations, int8 weights);
- NAME_dynamic: the same by the same, with activations that are quantised as they come.

What a net costs does not depend on what it has learned, as long as its values stay in range: weights
are scaled by the number of their inputs.
"""

import logging
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, load_from_string, numpy_helper, save


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


def squeezed(net, x, channels, squeezed, inside, gate):
    """Squeeze and excitation: each channel times a factor that all of them make."""
    y = net.add("GlobalAveragePool", x)
    y = inside(net.conv(y, channels, squeezed))
    return net.add("Mul", x, gate(net.conv(y, squeezed, channels)))


def silu(net, x):
    return net.add("Mul", x, net.add("Sigmoid", x))


def mobilenet_v3():
    net = Net(3)
    relu = lambda x: net.add("Relu", x)
    swish = lambda x: net.add("HardSwish", x)
    gate = lambda x: net.add("HardSigmoid", x, alpha=1 / 6, beta=0.5)
    x, given = swish(net.conv("input", 3, 16, 3, 2)), 16
    rows = ((3, 16, 16, True, relu, 2), (3, 72, 24, False, relu, 2), (3, 88, 24, False, relu, 1))
    rows += ((5, 96, 40, True, swish, 2), (5, 240, 40, True, swish, 1), (5, 240, 40, True, swish, 1))
    rows += ((5, 120, 48, True, swish, 1), (5, 144, 48, True, swish, 1))
    rows += ((5, 288, 96, True, swish, 2), (5, 576, 96, True, swish, 1), (5, 576, 96, True, swish, 1))
    for kernel, inside, made, excites, after, stride in rows:
        y = x if inside == given else after(net.conv(x, given, inside))
        y = after(net.conv(y, inside, inside, kernel, stride, group=inside))
        if excites:
            y = squeezed(net, y, inside, max(8, (inside // 4 + 4) // 8 * 8), relu, gate)
        y = net.conv(y, inside, made, gain=1.0)
        x, given = net.add("Add", x, y) if stride == 1 and given == made else y, made
    x = swish(net.conv(x, given, 576))
    x = net.add("Flatten", net.add("GlobalAveragePool", x), axis=1)
    x = swish(net.dense(x, 576, 1024))
    return net.model("mobilenet_v3", [image()], (net.dense(x, 1024, 1000), ["batch", 1000]))


def efficientnet_b0():
    net = Net(4)
    after = lambda x: silu(net, x)
    gate = lambda x: net.add("Sigmoid", x)
    x, given = after(net.conv("input", 3, 32, 3, 2)), 32
    rows = ((1, 16, 1, 1, 3), (6, 24, 2, 2, 3), (6, 40, 2, 2, 5), (6, 80, 3, 2, 3))
    rows += ((6, 112, 3, 1, 5), (6, 192, 4, 2, 5), (6, 320, 1, 1, 3))
    for widen, made, blocks, stride, kernel in rows:
        for block in range(blocks):
            y, inside, first = x, given * widen, stride if block == 0 else 1
            if widen > 1:
                y = after(net.conv(y, given, inside))
            y = after(net.conv(y, inside, inside, kernel, first, group=inside))
            y = squeezed(net, y, inside, given // 4, after, gate)
            y = net.conv(y, inside, made, gain=1.0)
            x, given = net.add("Add", x, y) if block > 0 else y, made
    x = after(net.conv(x, 320, 1280))
    x = net.add("Flatten", net.add("GlobalAveragePool", x), axis=1)
    return net.model("efficientnet_b0", [image()], (net.dense(x, 1280, 1000), ["batch", 1000]))


def yolov8n():
    net, size = Net(8), 320
    ints = lambda *values: net.constant(np.array(values, np.int64))

    def block(x, given, made, kernel=1, stride=1):
        return silu(net, net.conv(x, given, made, kernel, stride))

    def halves(x, made):
        return net.add("Split", x, ints(made // 2, made // 2), outputs=2, axis=1)

    def stage(x, given, made, times, shortcut):
        half = made // 2
        parts = halves(block(x, given, made), made)
        for _ in range(times):
            y = block(block(parts[-1], half, half, 3), half, half, 3)
            parts.append(net.add("Add", parts[-1], y) if shortcut else y)
        return block(net.add("Concat", *parts, axis=1), (2 + times) * half, made)

    def twice(x):
        scales = net.constant(np.array([1, 1, 2, 2], np.float32))
        return net.add(
            "Resize",
            x,
            "",
            scales,
            mode="nearest",
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        )

    x = block(block("input", 3, 16, 3, 2), 16, 32, 3, 2)
    x = stage(x, 32, 32, 1, True)
    fine = stage(block(x, 32, 64, 3, 2), 64, 64, 2, True)
    middle = stage(block(fine, 64, 128, 3, 2), 128, 128, 2, True)
    x = stage(block(middle, 128, 256, 3, 2), 256, 256, 1, True)
    pools = [block(x, 256, 128)]
    for _ in range(3):
        pools.append(net.add("MaxPool", pools[-1], kernel_shape=[5, 5], pads=[2] * 4))
    coarse = block(net.add("Concat", *pools, axis=1), 512, 256)
    middle = stage(net.add("Concat", twice(coarse), middle, axis=1), 384, 128, 1, False)
    fine = stage(net.add("Concat", twice(middle), fine, axis=1), 192, 64, 1, False)
    x = net.add("Concat", block(fine, 64, 64, 3, 2), middle, axis=1)
    middle = stage(x, 192, 128, 1, False)
    x = net.add("Concat", block(middle, 128, 128, 3, 2), coarse, axis=1)
    coarse = stage(x, 384, 256, 1, False)

    found, anchors, strides = [], [], []
    for x, given, stride in ((fine, 64, 8), (middle, 128, 16), (coarse, 256, 32)):
        boxes = net.conv(block(block(x, given, 64, 3), 64, 64, 3), 64, 64)
        kinds = net.conv(block(block(x, given, 80, 3), 80, 80, 3), 80, 80)
        x = net.add("Concat", boxes, kinds, axis=1)
        found.append(net.add("Reshape", x, ints(0, 144, -1)))
        cells = np.arange(size // stride, dtype=np.float32) + 0.5
        anchors.append(np.stack([axis.ravel() for axis in np.meshgrid(cells, cells)]))
        strides.append(np.full(anchors[-1].shape[1], stride, np.float32))
    cells = np.concatenate(anchors, 1)[None]
    boxes, kinds = net.add(
        "Split", net.add("Concat", *found, axis=2), ints(64, 80), outputs=2, axis=1
    )
    x = net.add("Reshape", boxes, ints(0, 4, 16, cells.shape[2]))
    x = net.add("Softmax", net.add("Transpose", x, perm=[0, 2, 1, 3]), axis=1)
    bins = net.constant(np.arange(16, dtype=np.float32).reshape(1, 16, 1, 1))
    x = net.add("Reshape", net.add("Conv", x, bins), ints(0, 4, cells.shape[2]))
    near, far = net.add("Split", x, ints(2, 2), outputs=2, axis=1)
    anchors = net.constant(cells)
    near, far = net.add("Sub", anchors, near), net.add("Add", far, anchors)
    middle = net.add("Div", net.add("Add", near, far), net.constant(np.float32(2)))
    x = net.add("Concat", middle, net.add("Sub", far, near), axis=1)
    x = net.add("Mul", x, net.constant(np.concatenate(strides)[None, None]))
    x = net.add("Concat", x, net.add("Sigmoid", kinds), axis=1)
    given = ("input", TensorProto.FLOAT, ["batch", 3, size, size])
    return net.model("yolov8n", [given], (x, ["batch", 84, cells.shape[2]]))


def vit_tiny():
    net, wide, heads = Net(12), 192, 3
    ints = lambda *values: net.constant(np.array(values, np.int64))
    scale = net.constant(np.float32((wide // heads) ** -0.5))

    def linear(x, given, made):
        x = net.add("MatMul", x, net.weight((given, made), given))
        return net.add("Add", x, net.constant(np.full(made, 0.01, np.float32)))

    def normal(x):
        ones = net.constant(np.ones(wide, np.float32))
        zeros = net.constant(np.zeros(wide, np.float32))
        return net.add("LayerNormalization", x, ones, zeros, axis=-1, epsilon=1e-6)

    weights = net.weight((wide, 3, 16, 16), 3 * 256)
    bias = net.constant(np.zeros(wide, np.float32))
    x = net.add("Conv", "input", weights, bias, kernel_shape=[16, 16], strides=[16, 16])
    x = net.add("Transpose", net.add("Reshape", x, ints(0, wide, -1)), perm=[0, 2, 1])
    # The token of the class begins as zeros, and what it has learned is among the places'.
    x = net.add("Pad", x, ints(0, 1, 0, 0, 0, 0))
    x = net.add("Add", x, net.weight((1, 197, wide), 1))
    for _ in range(12):
        y = net.add("Reshape", linear(normal(x), wide, 3 * wide), ints(0, 197, 3, heads, -1))
        y = net.add("Transpose", y, perm=[2, 0, 3, 1, 4])
        q, k, v = (net.add("Gather", y, net.constant(np.array(at)), axis=0) for at in range(3))
        k = net.add("Transpose", k, perm=[0, 1, 3, 2])
        y = net.add("Mul", net.add("MatMul", q, k), scale)
        y = net.add("MatMul", net.add("Softmax", y, axis=-1), v)
        y = net.add("Reshape", net.add("Transpose", y, perm=[0, 2, 1, 3]), ints(0, 197, wide))
        x = net.add("Add", x, linear(y, wide, wide))
        y = linear(normal(x), wide, 4 * wide)
        half = net.add("Div", y, net.constant(np.float32(np.sqrt(2))))
        half = net.add("Add", net.add("Erf", half), net.constant(np.float32(1)))
        y = net.add("Mul", net.add("Mul", y, half), net.constant(np.float32(0.5)))
        x = net.add("Add", x, linear(y, 4 * wide, wide))
    x = net.add("Gather", normal(x), net.constant(np.array(0)), axis=1)
    return net.model("vit_tiny", [image()], (net.dense(x, wide, 1000), ["batch", 1000]))


def read(name, height, width):
    """A net of the wheel of rapidocr, for one size of image."""
    import onnxruntime

    with tempfile.TemporaryDirectory() as directory:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "-d", directory]
        subprocess.run([*pip, "rapidocr-onnxruntime==1.4.4"], check=True)
        with zipfile.ZipFile(next(Path(directory).glob("*.whl"))) as wheel:
            net = load_from_string(wheel.read(f"rapidocr_onnxruntime/models/{name}.onnx"))
    if net.graph.node[-1].op_type == "Sigmoid":
        # Of noise it makes what is next to zero everywhere, where each engine rounds in its own way.
        net.graph.output[0].name = net.graph.node.pop().input[0]
    for dim, extent in zip(net.graph.input[0].type.tensor_type.shape.dim[2:], (height, width)):
        dim.dim_value = extent
    net.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    session = onnxruntime.InferenceSession(net.SerializeToString())
    given = np.zeros([1, 3, height, width], np.float32)
    made = session.run(None, {net.graph.input[0].name: given})[0].shape
    output = net.graph.output[0]
    fixed = helper.make_tensor_value_info(output.name, TensorProto.FLOAT, ["batch", *made[1:]])
    output.CopyFrom(fixed)
    return net


def ocr_det():
    return read("ch_PP-OCRv4_det_infer", 640, 640)


def ocr_rec():
    return read("ch_PP-OCRv4_rec_infer", 48, 320)


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


def dynamic(net, path):
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with tempfile.TemporaryDirectory() as directory:
        plain = Path(directory) / "plain.onnx"
        save(net, plain)
        quantize_dynamic(str(plain), str(path), weight_type=QuantType.QInt8)


PLAIN = (mlp, lstm, minilm, vit_tiny)
IMAGES = (mobilenet_v2, mobilenet_v3, efficientnet_b0, resnet50, yolov8n, ocr_det, ocr_rec)
NETS = {net.__name__: net for net in PLAIN + IMAGES}
NOISE = 8 * 3 * 640 * 640  # values: eight images
QUANTISED = ("mlp", "minilm", "mobilenet_v2", "resnet50")
DYNAMIC = ("minilm",)


def make(directory, only=None):
    directory.mkdir(parents=True, exist_ok=True)
    noise = directory / "noise.f32"
    if not noise.exists() or noise.stat().st_size < 4 * NOISE:
        np.random.default_rng(1).standard_normal(NOISE, dtype=np.float32).tofile(noise)
    forms = (f"{name}_qdq" for name in QUANTISED), (f"{name}_dynamic" for name in DYNAMIC)
    for name in [*NETS, *forms[0], *forms[1]]:
        path = directory / f"{name}.onnx"
        if path.exists() or only not in (None, name):
            continue
        unfinished = directory / f".{name}.unfinished"
        if name in NETS:
            save(NETS[name](), unfinished)
        elif name.endswith("_dynamic"):
            dynamic(NETS[name.removesuffix("_dynamic")](), unfinished)
        else:
            quantised(NETS[name.removesuffix("_qdq")](), unfinished)
        unfinished.rename(path)


if __name__ == "__main__":
    logging.disable(logging.WARNING)  # the quantiser recommends another tool each time
    make(Path(sys.argv[2]), *sys.argv[3:])
