"""An engine on the edge: what runs there, and inference."""

import json
import os
import ssl
import urllib.parse
from typing import Any, Dict, List, Mapping, Optional, Tuple

from .errors import EngineError
from .transport import TIMEOUT_SECONDS, Transport

ARROW = "application/vnd.apache.arrow.file"
PANDAS_RECORDS = "application/json; format=pandas-records"

#: Columns by names with dots and without metadata, as the original's SDK always asks.
_FLAT = "/infer?dataset[]=*&dataset.exclude[]=metadata&dataset.separator=."


class Engine:
    """One engine, by its URL: ``Engine("http://till-7:8080")``."""

    def __init__(
        self,
        url: str = "http://localhost:8080",
        api_key: str = "",
        context: Optional[ssl.SSLContext] = None,
    ) -> None:
        self._transport = Transport(url, context)
        self._api_key = api_key

    def __repr__(self) -> str:
        return f"Engine({self._transport.url!r})"

    def pipelines(self) -> List[Dict[str, str]]:
        """What ``GET /pipelines`` lists."""
        found: List[Dict[str, str]] = json.loads(self._ask("GET", "/pipelines")[1])["pipelines"]
        return found

    def models(self) -> List[Dict[str, str]]:
        """What ``GET /models`` lists."""
        found: List[Dict[str, str]] = json.loads(self._ask("GET", "/models")[1])["models"]
        return found

    def is_ready(self) -> bool:
        """Whether it takes requests now."""
        status, _, _ = self._transport.ask("GET", "/healthz", timeout=TIMEOUT_SECONDS)
        return status == 200

    def infer(self, tensor: Any, timeout: float = TIMEOUT_SECONDS) -> Any:
        """Computes, and answers in the kind that was asked with.

        - a pandas DataFrame: a DataFrame of ``time, in.*, out.*, anomaly.*`` columns;
        - a pyarrow Table or RecordBatch: a Table of the same columns;
        - a list of rows or a mapping, as JSON: what the engine's ``/pipelines/{name}`` answers.
        """
        if _is(tensor, "pandas", "DataFrame"):
            return self._infer_frame(tensor, timeout)
        if _is(tensor, "pyarrow", "Table") or _is(tensor, "pyarrow", "RecordBatch"):
            return self._infer_table(tensor, timeout)
        name = urllib.parse.quote(self.pipelines()[0]["id"], safe="")
        body = json.dumps(tensor).encode()
        content_type = PANDAS_RECORDS if isinstance(tensor, list) else "application/json"
        return json.loads(self._ask("POST", f"/pipelines/{name}", body, content_type, timeout)[1])

    def infer_from_file(self, path: "os.PathLike[str] | str", timeout: float = TIMEOUT_SECONDS) -> Any:
        """Computes what a file holds: ``.arrow`` gives a Table where pyarrow is there, ``.json``
        (records) a list of rows; both have the columns of :meth:`infer`."""
        with open(path, "rb") as file:
            body = file.read()
        name = os.fspath(path)
        if name.endswith(".arrow"):
            return _table_of(self._ask("POST", _FLAT, body, ARROW, timeout, ARROW)[1])
        return json.loads(self._ask("POST", _FLAT, body, PANDAS_RECORDS, timeout)[1])

    def _infer_table(self, table: Any, timeout: float) -> Any:
        import pyarrow as pa

        sink = pa.BufferOutputStream()
        with pa.ipc.new_file(sink, table.schema) as writer:
            writer.write(table)
        body = sink.getvalue().to_pybytes()
        return _table_of(self._ask("POST", _FLAT, body, ARROW, timeout, ARROW)[1])

    def _infer_frame(self, frame: Any, timeout: float) -> Any:
        import pandas as pd

        body = json.dumps(frame.to_dict(orient="records"), default=_plain).encode()
        _, answer = self._ask("POST", _FLAT, body, PANDAS_RECORDS, timeout)
        found = pd.DataFrame.from_records(json.loads(answer))
        if "time" in found:
            found["time"] = pd.to_datetime(found["time"], unit="ms")
        return found

    def _ask(
        self,
        method: str,
        path: str,
        body: Optional[bytes] = None,
        content_type: str = "",
        timeout: float = TIMEOUT_SECONDS,
        accept: str = "application/json",
    ) -> Tuple[Mapping[str, str], bytes]:
        headers = {"Accept": accept}
        if content_type:
            headers["Content-Type"] = content_type
        if self._api_key:
            headers["Authorization"] = f"Bearer {self._api_key}"
        status, fields, answer = self._transport.ask(method, path, body, headers, timeout)
        if status == 200:
            return fields, answer
        try:
            detail = json.loads(answer)
        except ValueError:
            detail = {}
        text = answer[:200].decode("utf-8", "replace")
        message = detail.get("error", text) if isinstance(detail, dict) else text
        raise EngineError(status, str(message), detail if isinstance(detail, dict) else {})


def _plain(value: Any) -> Any:
    """A numpy array or scalar as JSON has it."""
    return value.tolist()


def _is(value: Any, package: str, name: str) -> bool:
    """Whether a value is of a class of a package that may not be there."""
    kind = type(value)
    return kind.__name__ == name and kind.__module__.split(".")[0] == package


def _table_of(body: bytes) -> Any:
    try:
        import pyarrow as pa
    except ImportError:
        return body
    return pa.ipc.open_file(pa.BufferReader(body)).read_all()
