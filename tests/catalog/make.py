#!/usr/bin/env python3
"""Makes the catalog: what scikit-learn, LightGBM and XGBoost export, and what onnxruntime answers.

    make.py DIR    writes DIR/NAME.onnx and DIR/NAME.json for each model, as tests/fixtures/ml/case.py

A kind that its converter does not convert is named on standard error and left out.
"""

import sys
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "fixtures/ml"))

import numpy as np
import onnxmltools
from case import answers, write
from kinds import ROWS_ASKED, kinds
from onnxmltools.convert.common.data_types import FloatTensorType as BoostedFloats
from skl2onnx import to_onnx
from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, Int64TensorType
from skl2onnx.common.data_types import StringTensorType

warnings.filterwarnings("ignore")


def inputs_of(frame):
    """What the model is asked: an array under `x`, or the columns of a table."""
    if hasattr(frame, "columns"):
        columns = {}
        for name in frame.columns:
            values = frame[name].to_numpy()
            values = values.astype(str) if values.dtype == object else values.astype(np.float32)
            columns[name] = values.reshape(-1, 1)
        return columns
    return {"x": frame}


def types_of(inputs):
    kinds = {"f4": FloatTensorType, "f8": DoubleTensorType, "i8": Int64TensorType}
    return [
        (name, kinds.get(values.dtype.str[1:], StringTensorType)([None, *values.shape[1:]]))
        for name, values in inputs.items()
    ]


def converted(kind, inputs):
    if kind.library == "sklearn":
        return to_onnx(
            kind.model, initial_types=types_of(inputs), options=kind.options, target_opset=kind.opset
        )
    convert = getattr(onnxmltools, f"convert_{kind.library}")
    types = [("x", BoostedFloats([None, inputs["x"].shape[1]]))]
    return convert(kind.model, initial_types=types, **kind.options)


def main():
    directory = Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)
    for old in directory.iterdir():
        old.unlink()
    made = 0
    for kind in kinds():
        try:
            kind.model.fit(*kind.taught)
            inputs = inputs_of(kind.asked[:ROWS_ASKED])
            model = converted(kind, inputs)
            outputs = answers(model, inputs)
            write(directory, kind.name, model, inputs, outputs)
            made += 1
        except Exception as error:  # noqa: BLE001: any fault of a converter is its own
            print(f"left out {kind.name}: {type(error).__name__}: {str(error)[:100]}", file=sys.stderr)
    print(f"made {made} models", file=sys.stderr)


if __name__ == "__main__":
    main()
