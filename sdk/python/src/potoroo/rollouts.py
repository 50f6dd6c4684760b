"""Rollouts: one publish to many edges, wave by wave."""

from typing import Any, Dict, List, Mapping, Optional, Sequence, Union

from .transport import Api

#: A number of edges, ``5``, or a part of them, ``"10%"``.
Amount = Union[int, str]


class RolloutEdge:
    """How one edge fares in a rollout."""

    def __init__(self, wire: Mapping[str, Any]) -> None:
        self.name: str = wire["name"]
        self.wave: int = wire["wave"]
        self.state: str = wire["state"]
        self.reason: Optional[str] = wire.get("reason")
        self.is_late: bool = bool(wire.get("is_late"))
        self.from_publish_id: int = wire["from_publish_id"]

    def __repr__(self) -> str:
        return f"RolloutEdge({self.name!r}, {self.state!r})"


class Rollout:
    """A rollout as it was when it was asked for; :meth:`refresh` asks anew."""

    def __init__(self, api: Api, wire: Mapping[str, Any]) -> None:
        self._api = api
        self._read(wire)

    def _read(self, wire: Mapping[str, Any]) -> "Rollout":
        self.id: int = wire["id"]
        self.workspace_id: int = wire["workspace_id"]
        self.publish_id: int = wire["publish_id"]
        #: ``running``, ``paused``, ``halted``, ``aborted`` or ``done``.
        self.state: str = wire["state"]
        #: Why it was halted or aborted.
        self.reason: Optional[str] = wire.get("reason")
        self.wave: int = wire["wave"]
        self.waves: int = wire["waves"]
        self.failures_max: int = wire["failures_max"]
        self.created_at: str = wire["created_at"]
        self.ended_at: Optional[str] = wire.get("ended_at")
        #: How many edges fare how.
        self.counts: Dict[str, int] = dict(wire.get("counts") or {})
        #: Each edge; empty in a list of rollouts.
        self.edges: List[RolloutEdge] = [RolloutEdge(one) for one in wire.get("edges") or []]
        return self

    def refresh(self) -> "Rollout":
        """Asks anew how it is, with its edges."""
        return self._read(self._api.call("rollouts/get", {"id": self.id}))

    def pause(self) -> "Rollout":
        """Lets no further wave begin; what is under way goes on."""
        return self._read(self._api.call("rollouts/pause", {"id": self.id}))

    def resume(self) -> "Rollout":
        """Lets waves begin again."""
        return self._read(self._api.call("rollouts/resume", {"id": self.id}))

    def abort(self, send_back: Optional[bool] = None) -> "Rollout":
        """Ends it; edges under way go back, and those that have settled too where that is wanted."""
        asked: Dict[str, Any] = {"id": self.id}
        if send_back is not None:
            asked["send_back"] = send_back
        return self._read(self._api.call("rollouts/abort", asked))

    def __repr__(self) -> str:
        return f"Rollout({self.id}, {self.state!r}, wave {self.wave} of {self.waves})"


def start(
    api: Api,
    publish_id: int,
    edges: Optional[Sequence[str]],
    tag: Optional[str],
    from_publish_id: Optional[int],
    waves: Optional[Sequence[Amount]],
    failures_max: Optional[Amount],
    send_back: Optional[bool],
    wave_seconds_max: Optional[int],
    watch: Optional[Mapping[str, Any]],
) -> Rollout:
    """Begins a rollout of what is given; what is not has the ops center's own values."""
    told: Dict[str, Any] = {
        "edges": None if edges is None else list(edges),
        "tag": tag,
        "from_publish_id": from_publish_id,
        "waves": None if waves is None else list(waves),
        "failures_max": failures_max,
        "send_back": send_back,
        "wave_seconds_max": wave_seconds_max,
        "watch": None if watch is None else dict(watch),
    }
    told = {key: value for key, value in told.items() if value is not None}
    return Rollout(api, api.call("rollouts/start", {"publish_id": publish_id, **told}))


def listed(api: Api, workspace: int, limit: int) -> List[Rollout]:
    """The rollouts of a workspace, the newest first."""
    answer = api.call("rollouts/list", {"workspace_id": workspace, "limit": limit})
    return [Rollout(api, one) for one in answer["rollouts"]]


def shown(api: Api, number: int) -> Rollout:
    """One rollout with its edges."""
    return Rollout(api, api.call("rollouts/get", {"id": number}))
