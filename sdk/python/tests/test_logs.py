"""Logs by the package, of an ops center that an edge has sent some to."""

import datetime
import os
import pathlib
import unittest

import pandas as pd
import pyarrow as pa

import potoroo

ROWS = int(os.environ["POTOROO_TEST_ROWS"])
DIRECTORY = pathlib.Path(os.environ["POTOROO_TEST_DIRECTORY"])


class Logs(unittest.TestCase):
    def setUp(self) -> None:
        self.pipeline = potoroo.Client().get_pipeline("fraud")

    def test_the_latest_rows_are_a_frame_of_flat_columns(self) -> None:
        frame = self.pipeline.logs()
        self.assertEqual(len(frame), 100)
        self.assertIn("out.fraud_probability", frame)
        self.assertNotIn("metadata.partition", frame)
        self.assertTrue(frame["time"].is_monotonic_decreasing)

    def test_all_rows_come_in_pages(self) -> None:
        frame = self.pipeline.logs(limit=ROWS + 10, dataset_exclude=())
        self.assertEqual(len(frame), ROWS)
        self.assertEqual(set(frame["metadata.partition"]), {"till-7"})

    def test_with_arrow_they_are_a_table(self) -> None:
        table = self.pipeline.logs(limit=7, arrow=True)
        self.assertEqual((type(table), table.num_rows), (pa.Table, 7))
        self.assertIn("in.features", table.column_names)

    def test_a_time_or_an_edge_without_rows_gives_none(self) -> None:
        early = datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)
        self.assertEqual(len(self.pipeline.logs(end_datetime=early)), 0)
        self.assertEqual(self.pipeline.logs(edges=["till-8"], arrow=True).num_rows, 0)
        self.assertEqual(self.pipeline.log_losses(), [])

    def test_everything_is_exported_into_one_file(self) -> None:
        path = self.pipeline.export_logs(DIRECTORY / "exported")
        self.assertEqual(path, DIRECTORY / "exported" / "fraud.parquet")
        self.assertEqual(len(pd.read_parquet(path)), ROWS)
        path = self.pipeline.export_logs(DIRECTORY, file_prefix="all", file_format="csv")
        self.assertEqual(len(pd.read_csv(path)), ROWS)
        with self.assertRaises(ValueError):
            self.pipeline.export_logs(DIRECTORY, file_format="xlsx")
        self.assertEqual(list(DIRECTORY.glob("**/*.unfinished")), [])


if __name__ == "__main__":
    unittest.main()
