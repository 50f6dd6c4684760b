"""Writes the bodies that `codec` reads, the same bytes on every run: bodies.py DIR."""

import json
import pathlib
import sys

import numpy as np
import pyarrow as pa

SHAPE = (3, 224, 224)


def images(random):
    """Noise does not compress; a photograph of 8 bits does a little; patches of one colour do well."""
    yield "noise", random.standard_normal(SHAPE, dtype=np.float32)
    y, x = np.mgrid[0:224, 0:224] / 224
    light = np.stack([np.sin(7 * x * y + channel) + x for channel in range(3)])
    pixels = np.clip(110 + 55 * light + random.normal(0, 2, SHAPE), 0, 255).astype(np.uint8)
    yield "photo", (pixels.astype(np.float32) / 255 - np.float32(0.45)) / np.float32(0.225)
    yield "patches", np.kron(random.standard_normal((3, 7, 7), dtype=np.float32), np.ones((32, 32), np.float32))


def write_arrow(path, columns, codec=None):
    table = pa.table(columns)
    with pa.ipc.new_file(str(path), table.schema, options=pa.ipc.IpcWriteOptions(compression=codec)) as writer:
        writer.write_table(table)


def write_rows(directory, name, rows):
    """As a list of records, and for pyarrow's reader of JSON as one record a line."""
    (directory / f"{name}.json").write_text("[" + ",".join(rows) + "]")
    (directory / f"{name}.ndjson").write_text("\n".join(rows))


def main(directory):
    directory.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(20230908)
    for name, image in images(random):
        flat = image.ravel()
        column = {"tensor": pa.array([flat], pa.list_(pa.float32()))}
        for codec in (None, "lz4", "zstd"):
            write_arrow(directory / (f"{name}.arrow" if codec is None else f"{name}_{codec}.arrow"), column, codec)
        if name == "noise":
            # The shortest digits that are the same float, as most languages write one; and those of
            # the same value as a double, as Python writes a list.
            short = ",".join(np.format_float_positional(value, unique=True) for value in flat)
            write_rows(directory, "image_short", ['{"tensor":[' + short + "]}"])
            write_rows(directory, "image_long", [json.dumps({"tensor": flat.tolist()})])
    table = random.standard_normal((1000, 29)).round(6)
    write_rows(directory, "rows_1000", [json.dumps({"tensor": row.tolist()}) for row in table])


main(pathlib.Path(sys.argv[1]))
