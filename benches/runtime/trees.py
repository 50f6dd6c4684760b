#!/usr/bin/env python3
"""The tree models of benches/runtime.

    trees.py make DIR     writes DIR/NAME.onnx and DIR/features.f32, the same bytes on every run

The models are grown at random, not learned: what they cost is their shape, and that is as of

- random_forest: 100 trees for two classes as scikit-learn grows them, some 250 nodes each;
- xgboost: 100 trees of depth 6, missing values have a side, one score;
- lightgbm: 100 trees of 31 leaves that grow where most rows are, missing values have a side;
- passing: no tree, an operator that makes each value 0 or 1.
"""

import sys
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper

FEATURES = 29
ROWS = 10_000
TREES = 100


def rows():
    return np.random.default_rng(7).standard_normal((ROWS, FEATURES), dtype=np.float32)


def split(random, values, sample):
    """A feature, and a threshold that two values of the sample have between them."""
    feature = int(random.integers(FEATURES))
    column = values[sample, feature]
    return feature, float(np.quantile(column, random.uniform(0.25, 0.75)))


class Lists:
    def __init__(self, leaf, missing):
        self.leaf, self.missing = leaf, missing
        self.nodes = {name: [] for name in NODE_LISTS}
        self.weights = {name: [] for name in ("treeids", "nodeids", "ids", "weights")}

    def add(self, tree, node, mode, feature=0, value=0.0, yes=0, no=0, missing=0):
        entry = (tree, node, feature, mode, value, yes, no, missing)
        for name, item in zip(NODE_LISTS, entry):
            self.nodes[name].append(item)

    def weigh(self, tree, node, target, weight):
        for name, item in zip(self.weights, (tree, node, target, weight)):
            self.weights[name].append(item)

    def attributes(self):
        nodes = {f"nodes_{name}": items for name, items in self.nodes.items()}
        if not self.missing:
            del nodes["nodes_missing_value_tracks_true"]
        return nodes | {f"{self.leaf}_{name}": items for name, items in self.weights.items()}


NODE_LISTS = (
    "treeids",
    "nodeids",
    "featureids",
    "modes",
    "values",
    "truenodeids",
    "falsenodeids",
    "missing_value_tracks_true",
)


def grow(lists, tree, random, values, done, weigh):
    """Splits the largest leaf until `done(leaves, sample, depth)`; numbers nodes as they come."""
    open_leaves = [(0, np.arange(len(values)), 0)]
    closed, count, branches = [], 1, []
    while open_leaves:
        open_leaves.sort(key=lambda leaf: len(leaf[1]))
        node, sample, depth = open_leaves.pop()
        if done(len(open_leaves) + len(closed) + 1, sample, depth):
            closed.append(node)
            continue
        feature, threshold = split(random, values, sample)
        goes = values[sample, feature] <= threshold
        branches.append((node, feature, threshold, count, count + 1))
        open_leaves += [(count, sample[goes], depth + 1), (count + 1, sample[~goes], depth + 1)]
        count += 2
    entries = {branch[0]: branch for branch in branches}
    for node in range(count):
        if node in entries:
            _, feature, threshold, yes, no = entries[node]
            missing = int(random.integers(2))
            lists.add(tree, node, "BRANCH_LEQ", feature, threshold, yes, no, missing)
        else:
            lists.add(tree, node, "LEAF")
            weigh(tree, node)


def model(operator, attributes, outputs):
    node = helper.make_node(
        operator, ["features"], [name for name, _, _ in outputs], domain="ai.onnx.ml", **attributes
    )
    given = helper.make_tensor_value_info("features", TensorProto.FLOAT, ["rows", FEATURES])
    made = [helper.make_tensor_value_info(*output) for output in outputs]
    graph = helper.make_graph([node], operator, [given], made)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    made = helper.make_model(graph, opset_imports=opsets)
    made.ir_version = 8
    return made


def ensemble(name):
    random = np.random.default_rng(len(name))
    sample = rows()[:1000]
    lists = Lists("class", missing=name != "random_forest")
    for tree in range(TREES):
        if name == "random_forest":
            done = lambda leaves, sample, depth: len(sample) <= 8

            def weigh(tree, node):
                share = float(random.random())
                lists.weigh(tree, node, 0, (1 - share) / TREES)
                lists.weigh(tree, node, 1, share / TREES)
        else:
            if name == "xgboost":
                done = lambda leaves, sample, depth: depth == 6 or len(sample) < 2
            else:
                done = lambda leaves, sample, depth: leaves >= 31

            def weigh(tree, node):
                lists.weigh(tree, node, 0, float(random.standard_normal()) / 10)
        grow(lists, tree, random, sample, done, weigh)
    post = "NONE" if name == "random_forest" else "LOGISTIC"
    attributes = lists.attributes() | {"post_transform": post, "classlabels_int64s": [0, 1]}
    outputs = [
        ("label", TensorProto.INT64, ["rows"]),
        ("probabilities", TensorProto.FLOAT, ["rows", 2]),
    ]
    return model("TreeEnsembleClassifier", attributes, outputs)


def make(directory):
    directory.mkdir(parents=True, exist_ok=True)
    rows().tofile(directory / "features.f32")
    outputs = [("y", TensorProto.FLOAT, ["rows", FEATURES])]
    passing = model("Binarizer", {"threshold": 0.0}, outputs)
    (directory / "passing.onnx").write_bytes(passing.SerializeToString())
    for name in ("random_forest", "xgboost", "lightgbm"):
        (directory / f"{name}.onnx").write_bytes(ensemble(name).SerializeToString())


if __name__ == "__main__":
    make(Path(sys.argv[2]))
