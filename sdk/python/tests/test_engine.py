"""Inference on a real engine that serves what test_center.py published."""

import json
import os
import tempfile
import unittest
from pathlib import Path

import pandas as pd
import pyarrow as pa

import potoroo

ROW = [0.5] * 29


class Engine(unittest.TestCase):
    def setUp(self) -> None:
        self.engine = potoroo.Engine(os.environ["POTOROO_TEST_ENGINE"])

    def test_it_tells_what_runs(self) -> None:
        self.assertTrue(self.engine.is_ready())
        self.assertEqual(self.engine.pipelines(), [{"id": "fraud", "status": "Running"}])
        self.assertEqual(self.engine.models()[0]["name"], "fraud-mlp")

    def test_a_list_a_frame_a_table_and_files_have_one_answer(self) -> None:
        record = self.engine.infer([{"tensor": ROW}, {"tensor": ROW}])[0]
        self.assertEqual(record["pipeline_name"], "fraud")
        first, second = record["outputs"][0]["Float"]["data"]
        self.assertEqual(first, second)

        found = [self.engine.infer({"tensor": [ROW]})[0]["outputs"][0]["Float"]["data"]]
        frame = self.engine.infer(pd.DataFrame({"tensor": [ROW, ROW]}))
        self.assertEqual(len(frame), 2)
        self.assertIn("time", frame)
        self.assertEqual(list(frame["in.tensor"][0]), ROW)
        found.append(list(frame["out.fraud_probability"][1]))
        rows = pa.table({"tensor": pa.array([ROW, ROW], pa.list_(pa.float32(), 29))})
        for asked in (rows, rows.to_batches()[0]):
            table = self.engine.infer(asked)
            self.assertEqual(table.num_rows, 2)
            found.append(table["out.fraud_probability"][0].as_py())

        with tempfile.TemporaryDirectory() as directory:
            arrow, records = Path(directory, "rows.arrow"), Path(directory, "rows.json")
            with pa.ipc.new_file(str(arrow), rows.schema) as writer:
                writer.write(rows)
            records.write_text(json.dumps([{"tensor": ROW}]))
            table = self.engine.infer_from_file(arrow)
            found.append(table["out.fraud_probability"][0].as_py())
            answer = self.engine.infer_from_file(records)
            found.append(answer[0]["out.fraud_probability"])
        for one in found:
            self.assertAlmostEqual(one[0], first, places=6)

    def test_a_refusal_says_what_is_wrong(self) -> None:
        with self.assertRaises(potoroo.EngineError) as refused:
            self.engine.infer([{"tensor": [1.0, 2.0]}])
        self.assertEqual(refused.exception.status, 400)
        self.assertIn("29", str(refused.exception))


if __name__ == "__main__":
    unittest.main()
