"""Publishes: pipeline versions in a registry, and the edges where they run."""

from typing import Any, Dict, List, Mapping, Optional, Sequence

from .transport import Api


class Edge:
    """A named place where a publish runs."""

    def __init__(self, api: Api, wire: Mapping[str, Any]) -> None:
        self._api = api
        self.id: str = wire["id"]
        self.name: str = wire["name"]
        self.tags: List[str] = list(wire.get("tags") or [])
        self.cpus: float = wire.get("cpus") or 0.0
        self.memory: str = wire.get("memory") or ""
        self.spiffe_id: str = wire.get("spiffe_id") or ""

    def __repr__(self) -> str:
        return f"Edge({self.name!r})"


class PipelinePublish:
    """A pipeline version that was pushed, or is on its way."""

    def __init__(self, api: Api, wire: Mapping[str, Any]) -> None:
        self._api = api
        self._read(wire)

    def _read(self, wire: Mapping[str, Any]) -> None:
        helm: Mapping[str, Any] = wire.get("helm") or {}
        self.id: int = wire["id"]
        self.pipeline_version_id: int = wire["pipeline_version_id"]
        self.pipeline_version_name: str = wire["pipeline_version_name"]
        self.status: str = wire["status"]
        self.error: Optional[str] = wire.get("error")
        self.created_at: str = wire["created_at"]
        self.updated_at: str = wire["updated_at"]
        self.pipeline_url: Optional[str] = wire.get("pipeline_url")
        self.engine_url: Optional[str] = wire.get("engine_url")
        self.helm_reference: Optional[str] = helm.get("reference")
        self.helm_chart_url: Optional[str] = helm.get("chart")
        self.helm_chart_version: Optional[str] = helm.get("version")
        self.engine_config: Dict[str, Any] = dict(wire.get("engine_config") or {})
        #: ``EDGE_BUNDLE`` right after :meth:`add_edge`, and never again.
        self.docker_run_variables: Dict[str, str] = dict(wire.get("docker_run_variables") or {})
        #: ``username`` and ``password`` that the added edge pulls with from the registry of the ops
        #: center; right after :meth:`add_edge` and never again.
        self.pull_credentials: Dict[str, str] = dict(wire.get("pull_credentials") or {})

    def refresh(self) -> "PipelinePublish":
        """Asks anew how it is."""
        self._read(self._api.call("pipelines/get_publish_status", {"id": self.id}))
        return self

    def add_edge(self, name: str, tags: Sequence[str] = ()) -> "PipelinePublish":
        """Adds an edge and gives the publish with the bundle of it, which is shown only now."""
        wire = self._api.call(
            "pipelines/add_edge_to_publish",
            {"pipeline_publish_id": self.id, "name": name, "tags": list(tags)},
        )
        return PipelinePublish(self._api, wire)

    def list_edges(self) -> List[Edge]:
        """The edges of this publish."""
        answer = self._api.call("pipelines/list_edges_by_publish_id", {"publish_id": self.id})
        return [Edge(self._api, one) for one in answer["edges"]]

    def remove_edge(self, name: str) -> None:
        """Removes an edge: its session and its credentials end, and its name is free."""
        self._api.call("pipelines/remove_edge", {"name": name})

    def __repr__(self) -> str:
        return f"PipelinePublish({self.id}, {self.status!r}, {self.pipeline_url!r})"


def _listed(api: Api, where: Mapping[str, Any]) -> Mapping[str, Any]:
    answer: Mapping[str, Any] = api.call("pipelines/list_publishes_for_pipeline", where)
    return answer


def publishes_of(api: Api, where: Mapping[str, Any]) -> List[PipelinePublish]:
    """The publishes of a pipeline or workspace."""
    return [PipelinePublish(api, one) for one in _listed(api, where)["publishes"]]


def edges_of(api: Api, where: Mapping[str, Any]) -> List[Edge]:
    """The edges of a pipeline's or workspace's publishes."""
    return [Edge(api, one) for one in _listed(api, where)["edges"]]
