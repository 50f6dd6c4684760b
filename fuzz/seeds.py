"""Writes seeds for the fuzz targets, one small body of each kind that clients send: seeds.py DIR."""

import base64
import json
import pathlib
import struct
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


def inferences():
    """Requests of the Open Inference Protocol for the models of its target."""
    tensor = {"name": "x", "shape": [2, 3], "datatype": "FP32"}
    texts = b"\1\0\0\0a\2\0\0\0\xc3\xa9"
    rest = [
        {"name": "n", "shape": [2], "datatype": "INT64", "data": [1, -20]},
        {"name": "s", "shape": [], "datatype": "FP16", "data": 0.5},
        {"name": "t", "shape": [2], "datatype": "BYTES", "parameters": {"binary_data_size": len(texts)}},
    ]
    whole = {"id": "a", "inputs": [tensor | {"parameters": {"binary_data_size": 24}}] + rest,
             "outputs": [{"name": "y", "parameters": {"binary_data": True}}]}
    yield json.dumps(whole).encode() + np.arange(6, dtype=np.float32).tobytes() + texts
    yield json.dumps({"inputs": [tensor | {"data": [[1, 2.5, 3], [4, 5e0, 6]]}]}).encode()
    yield json.dumps({"inputs": [tensor | {"data": [1, 2, 3, 4, 5, 6]}], "parameters": {"binary_data_output": True}}).encode()
    yield json.dumps({"inputs": [{"name": "t", "shape": [2], "datatype": "BYTES", "data": ["a", "\u00e9"]}]}).encode()
    yield json.dumps({"inputs": [{"name": "b", "shape": [1, 2], "datatype": "BOOL", "data": [True, False]}]}).encode()
    yield np.arange(6, dtype=np.float32).tobytes()
    yield texts


def conversations():
    """Connections of HTTP/1.1 and 1.0, good ones and such as are refused."""
    crlf = lambda *lines: "\r\n".join(lines).encode("latin-1")
    yield crlf("GET / HTTP/1.1", "Host: a", "", "GET /b?c=d HTTP/1.1", "Host: a:80", "Connection: close", "", "")
    yield crlf("POST /a HTTP/1.1", "Host: [::1]", "Content-Length: 5", "", "helloHEAD / HTTP/1.0", "Connection: keep-alive", "", "")
    yield crlf("POST /a HTTP/1.1", "Host: a", "Transfer-Encoding: chunked", "Expect: 100-continue", "", "5", "hello", "0", "A: b", "", "GET / HTTP/1.1", "Host: a", "", "")
    yield crlf("", "OPTIONS * HTTP/1.1", "Host:", "", "PUT https://a/x HTTP/1.1", "Host: b", "X:  \xe4\t", "", "")
    yield crlf("POST / HTTP/1.1", "Host: a", "Content-Length: 5", "Transfer-Encoding: chunked", "", "0", "", "")
    yield crlf("POST / HTTP/1.1", "Host: a", "Content-Length: 5, 5", "", "hello")
    yield crlf("PRI * HTTP/2.0", "", "SM", "", "")
    yield crlf("GET / HTTP/1.1", "Host: a", "X: y", " z", "", "")


def bodies_of_http():
    """What follows a head, with another request behind it."""
    next_one = b"GET /b HTTP/1.1\r\nHost: a\r\n\r\n"
    yield b"5\r\nhello\r\n00A\r\n0123456789\r\n0\r\n\r\n" + next_one
    yield b"1\r\nx\r\n0\r\nA: b\r\nC:\r\n\r\n" + next_one
    yield b"hello, this body has 24 " + next_one
    yield b"5;a=b\r\nhello\r\n0\r\n\r\n"
    yield b"+5\r\nhello\r\n0\r\n\r\n"
    yield b"ffffffffffffffff\r\n"


def main(directory):
    for kind in ("records", "arrow_file", "arrow_stream", "open_inference", "http_heads", "http_bodies"):
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
    for index, body in enumerate(inferences()):
        # The fuzzer takes the numbers that steer a target from the beginning of its input.
        for kind in range(4):
            (directory / "open_inference" / f"{index}_{kind}").write_bytes(struct.pack("<BH", kind, len(body)) + body)
    for index, said in enumerate(conversations()):
        (directory / "http_heads" / str(index)).write_bytes(bytes([6, 2]) + said)
    for index, body in enumerate(bodies_of_http()):
        for kind in (0, 4, 2 | 3 << 2, 3):
            (directory / "http_bodies" / f"{index}_{kind}").write_bytes(bytes([kind, 6, 2]) + body)


main(pathlib.Path(sys.argv[1]))
