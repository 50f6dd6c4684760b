"""What can go wrong, each with what the other side said."""

from typing import Any, Mapping, Optional


class PotorooError(Exception):
    """The base of all errors of this package."""


class UnreachableError(PotorooError):
    """Nothing answered there, or the connection broke."""


class ApiError(PotorooError):
    """The ops center refused: its status, the stable name of the fault, and its sentence."""

    def __init__(self, status: int, message: str, kind: Optional[str] = None) -> None:
        super().__init__(f"[{status}] {message}")
        self.status = status
        self.message = message
        self.kind = kind


class EngineError(PotorooError):
    """The engine refused a request; ``detail`` has its whole answer (column, row, expected, found)."""

    def __init__(self, status: int, message: str, detail: Mapping[str, Any]) -> None:
        super().__init__(f"[{status}] {message}")
        self.status = status
        self.message = message
        self.detail = dict(detail)


class PublishError(PotorooError):
    """A publish ended with ``Error``; the message says why and what to do."""
