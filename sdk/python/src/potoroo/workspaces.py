"""Workspaces: named groups of people's work."""

from typing import Any, Dict, List, Mapping

from .transport import Api


class Workspace:
    """A workspace."""

    def __init__(self, api: Api, number: int, name: str) -> None:
        self._api = api
        self._id = number
        self._name = name

    @classmethod
    def _of(cls, api: Api, wire: Mapping[str, Any]) -> "Workspace":
        return cls(api, wire["id"], wire["name"])

    def id(self) -> int:
        """Its number: ``WORKSPACE_ID`` in a bundle."""
        return self._id

    def name(self) -> str:
        """Its name."""
        return self._name

    def add_user(self, email: str) -> "Workspace":
        """Makes someone a member who uploads and publishes."""
        return self._add(email, "COLLABORATOR")

    def add_owner(self, email: str) -> "Workspace":
        """Makes someone a member who also decides about members."""
        return self._add(email, "OWNER")

    def _add(self, email: str, user_type: str) -> "Workspace":
        self._api.call(
            "workspaces/add_user",
            {"workspace_id": self._id, "email": email, "user_type": user_type},
        )
        return self

    def list_users(self) -> List[Dict[str, Any]]:
        """Its members, each with ``user_id`` and ``user_type``."""
        users: List[Dict[str, Any]] = self._api.call(
            "workspaces/list_users", {"workspace_id": self._id}
        )["users"]
        return users

    def __repr__(self) -> str:
        return f"Workspace({self._id}, {self._name!r})"
