"""Nets of the usual kinds with random weights, to be quantised: graphs of onnx.helper, nothing trained.

Weights are drawn so that values keep their size from layer to layer, as training leaves them.
"""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class Net:
    """A graph while it is put together; each method adds a node and gives its output's name."""

    def __init__(self, seed):
        self.random = np.random.default_rng(seed)
        self.nodes, self.stored = [], []

    def node(self, operator, *inputs, **attributes):
        name = f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], name, **attributes))
        return name

    def store(self, value):
        name = f"stored_{len(self.stored)}"
        self.stored.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def weights(self, *shape, inner):
        # Channels of unlike size, as those of trained nets are: scales for each differ then.
        values = self.random.standard_normal(shape) * np.sqrt(2.0 / inner)
        unlike = self.random.uniform(0.5, 1.5, (shape[0], *[1] * (len(shape) - 1)))
        return self.store((values * unlike).astype(np.float32))

    def bias(self, length):
        return self.store((self.random.standard_normal(length) * 0.1).astype(np.float32))

    def conv(self, value, channels, to, kernel, stride=1, group=1):
        weights = self.weights(to, channels // group, kernel, kernel, inner=channels // group * kernel**2)
        pads = [kernel // 2] * 4
        return self.node(
            "Conv", value, weights, self.bias(to),
            kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=pads, group=group,
        )

    def linear(self, value, inner, to):
        return self.node("Gemm", value, self.weights(to, inner, inner=inner), self.bias(to), transB=1)

    def product(self, value, inner, to):
        """As exporters write a linear layer over three axes."""
        weights = (self.random.standard_normal((inner, to)) / np.sqrt(inner)).astype(np.float32)
        return self.node("Add", self.node("MatMul", value, self.store(weights)), self.bias(to))

    def clip(self, value):
        limits = [self.store(np.float32(limit)) for limit in (0.0, 6.0)]
        return self.node("Clip", value, *limits)

    def model(self, given, made):
        last, shape = made
        self.nodes.append(helper.make_node("Identity", [last], ["y"], "y"))
        graph = helper.make_graph(
            self.nodes, "net",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, given)],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
            self.stored,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        return onnx.shape_inference.infer_shapes(model)


def resnet(seed, image, widths, blocks, classes):
    net = Net(seed)
    value = net.node("Relu", net.conv("x", 3, widths[0], 7, 2))
    value = net.node("MaxPool", value, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    channels = widths[0]
    for stage, to in enumerate(widths):
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            inner = net.node("Relu", net.conv(value, channels, to, 3, stride))
            inner = net.conv(inner, to, to, 3)
            if channels != to or stride != 1:
                value = net.conv(value, channels, to, 1, stride)
            value, channels = net.node("Relu", net.node("Add", inner, value)), to
    value = net.node("Flatten", net.node("GlobalAveragePool", value), axis=1)
    return net.model(["n", 3, image, image], (net.linear(value, channels, classes), ["n", classes]))


def mobilenet(seed, image, stem, stages, last, classes):
    """`stages` are expansion, channels, blocks and stride of each."""
    net = Net(seed)
    value, channels = net.clip(net.conv("x", 3, stem, 3, 2)), stem
    for expansion, to, blocks, first in stages:
        for block in range(blocks):
            stride = first if block == 0 else 1
            wide = channels * expansion
            inner = value if expansion == 1 else net.clip(net.conv(value, channels, wide, 1))
            inner = net.clip(net.conv(inner, wide, wide, 3, stride, group=wide))
            inner = net.conv(inner, wide, to, 1)
            value = net.node("Add", value, inner) if (channels, 1) == (to, stride) else inner
            channels = to
    value = net.clip(net.conv(value, channels, last, 1))
    value = net.node("Flatten", net.node("GlobalAveragePool", value), axis=1)
    return net.model(["n", 3, image, image], (net.linear(value, last, classes), ["n", classes]))


def mlp(seed, features, widths):
    net = Net(seed)
    value, inner = "x", features
    for to in widths:
        value, inner = net.node("Relu", net.linear(value, inner, to)), to
    return net.model(["n", features], (net.node("Sigmoid", net.linear(value, inner, 1)), ["n", 1]))


def lstm(seed, steps, features, hidden):
    net = Net(seed)
    sequence = net.node("Transpose", "x", perm=[1, 0, 2])
    weights = [
        net.store((net.random.standard_normal((1, 4 * hidden, inner)) / np.sqrt(inner)).astype(np.float32))
        for inner in (features, hidden)
    ]
    biases = net.store((net.random.standard_normal((1, 8 * hidden)) * 0.1).astype(np.float32))
    net.nodes.append(helper.make_node(
        "LSTM", [sequence, *weights, biases], ["", "last"], "lstm", hidden_size=hidden,
    ))
    value = net.node("Squeeze", "last", net.store(np.array([0], np.int64)))
    return net.model(["n", steps, features], (net.linear(value, hidden, 4), ["n", 4]))


def transformer(seed, length, width, heads, classes):
    net = Net(seed)
    ones, zeros = (net.store(np.full(width, number, np.float32)) for number in (1.0, 0.0))
    shape = net.store(np.array([0, length, heads, width // heads], np.int64))
    normed = net.node("LayerNormalization", "x", ones, zeros, axis=-1)

    def split(order):
        parts = net.node("Reshape", net.product(normed, width, width), shape)
        return net.node("Transpose", parts, perm=order)

    asked, kept, told = split([0, 2, 1, 3]), split([0, 2, 3, 1]), split([0, 2, 1, 3])
    scores = net.node("MatMul", asked, kept)
    scores = net.node("Mul", scores, net.store(np.float32((width // heads) ** -0.5)))
    value = net.node("MatMul", net.node("Softmax", scores, axis=-1), told)
    value = net.node("Transpose", value, perm=[0, 2, 1, 3])
    value = net.node("Reshape", value, net.store(np.array([0, length, width], np.int64)))
    value = net.node("Add", "x", net.product(value, width, width))
    inner = net.product(net.node("LayerNormalization", value, ones, zeros, axis=-1), width, 4 * width)
    half = net.node("Mul", inner, net.store(np.float32(0.5)))
    spread = net.node("Erf", net.node("Mul", inner, net.store(np.float32(2**-0.5))))
    inner = net.node("Mul", half, net.node("Add", spread, net.store(np.float32(1.0))))
    value = net.node("Add", value, net.product(inner, 4 * width, width))
    value = net.node("ReduceMean", value, axes=[1], keepdims=0)
    return net.model(["n", length, width], (net.linear(value, width, classes), ["n", classes]))


def tiny():
    """Nets of some kilobytes, which are kept in the tree with their answers."""
    return {
        "resnet": (resnet(1, 8, [4, 6], 1, 4), (3, 8, 8)),
        "mobilenet": (mobilenet(2, 8, 4, [(1, 4, 1, 1), (2, 6, 1, 2), (2, 6, 1, 1)], 8, 4), (3, 8, 8)),
        "mlp": (mlp(3, 8, [8, 4]), (8,)),
    }


def small():
    stages = [(1, 8, 1, 1), (4, 12, 2, 2), (4, 16, 2, 2)]
    return {
        "resnet": (resnet(1, 32, [8, 16, 24], 1, 10), (3, 32, 32)),
        "mobilenet": (mobilenet(2, 32, 8, stages, 32, 10), (3, 32, 32)),
        "mlp": (mlp(3, 29, [32, 16]), (29,)),
        "lstm": (lstm(4, 12, 6, 8), (12, 6)),
        "transformer": (transformer(5, 10, 16, 2, 4), (10, 16)),
    }


def large():
    stages = [
        (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
    ]
    return {
        "resnet18": (resnet(1, 224, [64, 128, 256, 512], 2, 1000), (3, 224, 224)),
        "mobilenet_v2": (mobilenet(2, 224, 32, stages, 1280, 1000), (3, 224, 224)),
        "mlp": (mlp(3, 29, [512, 512, 256]), (29,)),
        "lstm": (lstm(4, 50, 16, 64), (50, 16)),
        "transformer": (transformer(5, 128, 384, 12, 10), (128, 384)),
    }
