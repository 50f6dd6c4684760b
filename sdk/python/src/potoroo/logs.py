"""Logs: what edges inferred with a pipeline, as frames and tables, and as files."""

import datetime
import json
import os
import pathlib
import sys
import urllib.parse
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

from .transport import ARROW, Api

#: Rows where it is not said how many, as the original has it.
LIMIT = 100

#: Rows that are asked for at once.
PAGE_ROWS = 10_000

#: The endings of exported files.
ENDINGS = {"arrow": ".arrow", "parquet": ".parquet", "csv": ".csv"}

_MORE = (
    "Warning: There are more logs available. Please set a larger limit or request a file using export_logs."
)


def wanted(
    pipeline_id: Optional[int],
    start_datetime: Optional[datetime.datetime],
    end_datetime: Optional[datetime.datetime],
    edges: Sequence[str],
    failures_only: bool,
) -> Dict[str, Any]:
    """What the API is asked with; times without a zone are local."""
    return {
        "pipeline_id": pipeline_id,
        "start_time": _moment(start_datetime),
        "end_time": _moment(end_datetime),
        "edges": list(edges),
        "failures_only": failures_only,
    }


def _moment(moment: Optional[datetime.datetime]) -> Optional[str]:
    return None if moment is None else moment.astimezone(datetime.timezone.utc).isoformat()


def pages(
    api: Api,
    body: Dict[str, Any],
    limit: int,
    accept: str,
    dataset: Sequence[str],
    dataset_exclude: Sequence[str],
    dataset_separator: str,
) -> Iterator[Tuple[Mapping[str, str], bytes]]:
    """The pages of an answer, as head and body, until there are ``limit`` rows or no more."""
    query = [("dataset[]", one) for one in dataset]
    query += [("dataset.exclude[]", one) for one in dataset_exclude]
    query.append(("dataset.separator", dataset_separator))
    path = "pipelines/get_logs?" + urllib.parse.urlencode(query)
    asked = dict(body, page_size=max(1, min(limit, PAGE_ROWS)))
    while True:
        head, found = api.page(path, asked, accept)
        taken = yield head, found  # type: ignore[misc]
        limit -= taken or 0
        cursor = head.get("x-iteration-cursor")
        if not cursor:
            return
        if limit <= 0:
            sys.stdout.write(_MORE + "\n")
            return
        asked = dict(asked, cursor=cursor, page_size=min(limit, PAGE_ROWS))


def _all(source: Any, read: Any, count: Any) -> List[Any]:
    """What ``read`` makes of each page, of which ``count`` tells the rows."""
    found: List[Any] = []
    try:
        head, body = next(source)
        while True:
            page = read(body)
            found.append(page)
            head, body = source.send(count(page))
    except StopIteration:
        return found


def table(source: Any) -> Any:
    """The pages as one pyarrow Table; columns that a page has not are null in it."""
    import pyarrow as pa

    read = lambda body: pa.ipc.open_file(pa.BufferReader(body)).read_all().replace_schema_metadata()  # noqa: E731
    tables = [one for one in _all(source, read, lambda one: one.num_rows) if one.num_rows]
    return pa.concat_tables(tables, promote_options="default") if tables else pa.table({})


def frame(source: Any) -> Any:
    """The pages as one DataFrame where pandas is there, else as a list of rows."""
    rows = [row for page in _all(source, json.loads, len) for row in page]
    try:
        import pandas as pd
    except ImportError:
        return rows
    found = pd.DataFrame.from_records(rows)
    if "time" in found:
        found["time"] = pd.to_datetime(found["time"], unit="ms")
    return found


def exported(
    api: Api,
    body: Dict[str, Any],
    file_format: str,
    directory: "os.PathLike[str] | str",
    name: str,
) -> pathlib.Path:
    """Writes one file with everything, whole or not at all; where it is."""
    if file_format not in ENDINGS:
        raise ValueError(f"{file_format!r} is no form of a file: expected arrow, parquet or csv")
    path = pathlib.Path(directory) / (name + ENDINGS[file_format])
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".unfinished")
    try:
        with open(beside, "wb") as file:
            api.download("pipelines/export_logs", dict(body, format=file_format), file)
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    return path


__all__ = ["ARROW", "LIMIT", "exported", "frame", "pages", "table", "wanted"]
