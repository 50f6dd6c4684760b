"""Requests over the standard library: JSON in and out, files streamed, one error for each refusal."""

import http.client
import json
import os
import ssl
import urllib.parse
from typing import Any, BinaryIO, Dict, Mapping, Optional, Tuple, Union

from .errors import ApiError, UnreachableError

#: Seconds that one step of a connection may take; the variable has the original's name.
TIMEOUT_SECONDS = float(os.environ.get("WALLAROO_REQUEST_TIMEOUT", "45"))

#: Bytes of an answer that are read: the largest are pages of logs.
ANSWER_BYTES_MAX = 512 << 20

#: Arrow's IPC file.
ARROW = "application/vnd.apache.arrow.file"

#: Redirects are not followed: a token would go along to wherever they lead.
Body = Union[None, bytes, BinaryIO]


class Transport:
    """One place that is asked: scheme, host, and the path before all others."""

    def __init__(self, url: str, context: Optional[ssl.SSLContext] = None) -> None:
        parts = urllib.parse.urlsplit(url if "//" in url else f"http://{url}")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url!r} is no URL: expected http://host:port or https://host")
        self.url = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
        self._parts = parts
        self._prefix = parts.path.rstrip("/")
        self._context = context

    def _connection(self, timeout: float) -> http.client.HTTPConnection:
        host, port = self._parts.hostname or "", self._parts.port
        if self._parts.scheme == "https":
            context = self._context or ssl.create_default_context()
            return http.client.HTTPSConnection(host, port, timeout=timeout, context=context)
        return http.client.HTTPConnection(host, port, timeout=timeout)

    def ask(
        self,
        method: str,
        path: str,
        body: Body = None,
        headers: Optional[Mapping[str, str]] = None,
        timeout: float = TIMEOUT_SECONDS,
    ) -> Tuple[int, Mapping[str, str], bytes]:
        """Sends one request and gives status, header fields (lower case) and the whole answer."""
        connection = self._connection(timeout)
        try:
            connection.request(method, self._prefix + path, body=body, headers=dict(headers or {}))
            answer = connection.getresponse()
            found = answer.read(ANSWER_BYTES_MAX + 1)
            if len(found) > ANSWER_BYTES_MAX:
                raise UnreachableError(f"{self.url}{path} answers more than {ANSWER_BYTES_MAX} bytes")
            fields = {name.lower(): value for name, value in answer.getheaders()}
            return answer.status, fields, found
        except (OSError, http.client.HTTPException) as error:
            raise UnreachableError(f"{self.url} does not answer: {error}") from error
        finally:
            connection.close()


class Api(Transport):
    """The ops center: bearer tokens, JSON, and its form of errors."""

    def __init__(self, url: str, token: str = "", context: Optional[ssl.SSLContext] = None) -> None:
        super().__init__(url, context)
        self.token = token

    def __repr__(self) -> str:
        return f"Api({self.url!r})"  # never the token

    def _headers(self, content_type: str) -> Dict[str, str]:
        headers = {"Accept": "application/json", "Content-Type": content_type}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        return headers

    def call(self, path: str, body: Optional[Mapping[str, Any]] = None, method: str = "POST") -> Any:
        """Calls a path below ``/v1/api/`` with JSON."""
        packed = json.dumps(body or {}).encode() if method == "POST" else None
        return self._read(*self.ask(method, f"/v1/api/{path}", packed, self._headers("application/json")))

    def page(self, path: str, body: Mapping[str, Any], accept: str) -> Tuple[Mapping[str, str], bytes]:
        """Calls a path below ``/v1/api/`` with JSON, and gives head and body as they are."""
        headers = dict(self._headers("application/json"), Accept=accept)
        status, head, found = self.ask("POST", f"/v1/api/{path}", json.dumps(body).encode(), headers)
        if status != 200:
            self._read(status, head, found)
        return head, found

    def download(self, path: str, body: Mapping[str, Any], into: BinaryIO) -> None:
        """Calls a path below ``/v1/api/`` with JSON, and writes the answer into a file as it comes."""
        connection = self._connection(TIMEOUT_SECONDS)
        try:
            headers = self._headers("application/json")
            packed = json.dumps(body).encode()
            connection.request("POST", f"{self._prefix}/v1/api/{path}", body=packed, headers=headers)
            answer = connection.getresponse()
            if answer.status != 200:
                self._read(answer.status, {}, answer.read(ANSWER_BYTES_MAX))
                raise UnreachableError(f"{self.url} answers {answer.status}")
            while piece := answer.read(1 << 16):
                into.write(piece)
        except (OSError, http.client.HTTPException) as error:
            raise UnreachableError(f"{self.url} ended before the file was whole: {error}") from error
        finally:
            connection.close()

    def form(self, path: str, fields: Mapping[str, str]) -> Any:
        """Posts a form, as OAuth 2 wants it."""
        packed = urllib.parse.urlencode(fields).encode()
        headers = self._headers("application/x-www-form-urlencoded")
        return self._read(*self.ask("POST", path, packed, headers))

    def send_file(self, path: str, query: Mapping[str, str], file: BinaryIO, size_bytes: int) -> Any:
        """Streams a file as the body; nothing of it is kept in memory."""
        headers = self._headers("application/octet-stream")
        headers["Content-Length"] = str(size_bytes)
        target = f"/v1/api/{path}?{urllib.parse.urlencode(query)}"
        return self._read(*self.ask("POST", target, file, headers, timeout=TIMEOUT_SECONDS * 10))

    def put_whole(self, path: str, file: BinaryIO, size_bytes: int) -> Any:
        """Streams a file as the only part of an upload."""
        headers = self._headers("application/octet-stream")
        headers["Content-Length"] = str(size_bytes)
        headers["Content-Range"] = f"bytes 0-{size_bytes - 1}/{size_bytes}"
        target = f"/v1/api/{path}"
        return self._read(*self.ask("PUT", target, file, headers, timeout=TIMEOUT_SECONDS * 10))

    @staticmethod
    def _read(status: int, _headers: Mapping[str, str], body: bytes) -> Any:
        try:
            value = json.loads(body) if body else None
        except ValueError:
            value = None
        if 200 <= status < 300:
            return value
        if isinstance(value, dict):
            message = value.get("msg") or value.get("error_description") or value.get("error")
            kind = value.get("kind")
        else:
            message, kind = None, None
        raise ApiError(status, str(message or body[:200].decode("utf-8", "replace")), kind)
