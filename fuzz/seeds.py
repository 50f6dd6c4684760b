"""Writes seeds for the fuzz targets, one small body of each kind that clients send: seeds.py DIR."""

import base64
import json
import pathlib
import sys

import numpy as np
import pyarrow as pa
import pyarrow.feather as feather


def tables():
    floats = pa.array([[1.5, -2.0, 3.0], [4.0, 5.0, 6.0]], pa.list_(pa.float32()))
    names = pa.array(["a longer name than twelve", "b"])
    yield "list", pa.table({"tensor": floats, "name": names})
    yield "large_list", pa.table({"tensor": floats.cast(pa.large_list(pa.float64())), "name": names.cast(pa.large_string())})
    yield "fixed", pa.table({"tensor": floats.cast(pa.list_(pa.float32(), 3)), "name": names})
    cube = np.arange(12, dtype=np.int64).reshape(2, 3, 2)
    yield "tensor", pa.table({"tensor": pa.FixedShapeTensorArray.from_numpy_ndarray(cube), "name": names})
    yield "views", pa.table({"tensor": pa.array([b"\0\1\2", b"\3\4\5"], pa.binary_view()), "name": names.cast(pa.string_view())})
    yield "binary", pa.table({"tensor": pa.array([b"\0\1\2", b"\3\4\5"]), "name": names})
    yield "fixed_binary", pa.table({"tensor": pa.array([b"\0\1\2", b"\3\4\5"], pa.binary(3))})
    yield "base64", pa.table({"tensor": pa.array(["AAEC", "AwQF"])})
    yield "dictionary", pa.table({"tensor": pa.array([7, 8]).dictionary_encode(), "name": names.dictionary_encode()})
    yield "dictionary_list", pa.table({"tensor": pa.ListArray.from_arrays([0, 1, 2], pa.array([7.0, 8.0]).dictionary_encode())})
    yield "nulls", pa.table({"tensor": pa.array([1, None]), "name": pa.nulls(2)})
    yield "odd", pa.table({"tensor": pa.array([1, 2]), "s": pa.array([{"a": 1}, None]), "m": pa.array([[("k", 1)], []], pa.map_(pa.string(), pa.int8()))})
    yield "time", pa.table({"tensor": pa.array([1, 2], pa.timestamp("us", "UTC")), "d": pa.array([1, 2], pa.decimal128(5, 2))})
    yield "long", pa.table({"tensor": pa.array(np.zeros(600)), "name": pa.array(["same"] * 600)})


def main(directory):
    for kind in ("records", "arrow_file", "arrow_stream"):
        (directory / kind).mkdir(parents=True, exist_ok=True)
    for name, table in tables():
        for codec in (None, "lz4", "zstd"):
            options = pa.ipc.IpcWriteOptions(compression=codec)
            for kind, opened in (("arrow_file", pa.ipc.new_file), ("arrow_stream", pa.ipc.new_stream)):
                sink = pa.BufferOutputStream()
                with opened(sink, table.schema, options=options) as writer:
                    writer.write_table(table)
                    writer.write_table(table.slice(1))
                (directory / kind / f"{name}_{codec}").write_bytes(sink.getvalue())
    feather.write_feather(next(tables())[1], directory / "arrow_file" / "feather")
    image = base64.b64encode(bytes(range(9))).decode()
    bodies = [
        [{"tensor": [1.5, 2], "name": "é\n"}, {"name": "b", "tensor": [3, 4e5]}],
        {"tensor": [[1.5, 2], [3, 4]], "name": ["a", "b"]},
        {"tensor": [[[1, 2]], [[3, 4]]], "x": {"y": [None, True]}, "name": ["", "\\\""]},
        [{"tensor": image}],
        {"tensor": [image, image]},
        [{"tensor": 7, "name": "x", "extra": None}],
    ]
    for index, body in enumerate(bodies):
        (directory / "records" / str(index)).write_text(json.dumps(body))


main(pathlib.Path(sys.argv[1]))
