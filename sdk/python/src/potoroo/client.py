"""The ops center, as a program meets it first: who one is, and what there is."""

import os
import ssl
from typing import Any, List, Mapping, Optional, Sequence, Union

from . import rollouts
from .errors import ApiError
from .models import Framework, Model, ModelVersion, upload
from .pipelines import Pipeline
from .publishes import Edge, PipelinePublish, edges_of, publishes_of
from .rollouts import Amount, Rollout
from .transport import Api
from .workspaces import Workspace

_TOKEN_PATH = "/auth/realms/master/protocol/openid-connect/token"


class Client:
    """A session with an ops center.

    A token comes from the dashboard or ``potoroo-ops token create``. With ``username`` and
    ``password`` one is asked for that holds an hour. Without arguments the variables
    ``POTOROO_OPS_URL`` and ``POTOROO_OPS_TOKEN`` are read, or the original's ``WALLAROO_URL``,
    ``WALLAROO_USER`` and ``WALLAROO_PASSWORD``.
    """

    def __init__(
        self,
        api_endpoint: Optional[str] = None,
        token: Optional[str] = None,
        username: Optional[str] = None,
        password: Optional[str] = None,
        context: Optional[ssl.SSLContext] = None,
    ) -> None:
        env = os.environ
        url = api_endpoint or env.get("POTOROO_OPS_URL") or env.get("WALLAROO_URL")
        if not url:
            raise ValueError("no ops center is named: give api_endpoint or set POTOROO_OPS_URL")
        self._api = Api(url, token or env.get("POTOROO_OPS_TOKEN", ""), context)
        username = username or env.get("WALLAROO_USER")
        password = password or env.get("WALLAROO_PASSWORD")
        if not self._api.token and username and password:
            answer = self._api.form(
                _TOKEN_PATH,
                {
                    "grant_type": "password",
                    "client_id": "sdk-client",
                    "username": username,
                    "password": password,
                },
            )
            self._api.token = answer["access_token"]
        self._workspace: Optional[Workspace] = None

    def __repr__(self) -> str:
        return f"Client({self._api.url!r})"

    # Workspaces

    def list_workspaces(self) -> List[Workspace]:
        """The workspaces that the caller sees."""
        answer = self._api.call("workspaces/list")
        return [Workspace._of(self._api, one) for one in answer["workspaces"]]

    def create_workspace(self, workspace_name: str) -> Workspace:
        """Makes a workspace."""
        number = self._api.call("workspaces/create", {"workspace_name": workspace_name})
        return self._workspace_where(lambda one: one.id() == number["workspace_id"], workspace_name)

    def get_workspace(self, name: str, create_if_not_exist: bool = False) -> Workspace:
        """The workspace of that name."""
        try:
            return self._workspace_where(lambda one: one.name() == name, name)
        except LookupError:
            if not create_if_not_exist:
                raise
            return self.create_workspace(name)

    def _workspace_where(self, wanted, name: str) -> Workspace:  # type: ignore[no-untyped-def]
        for one in self.list_workspaces():
            if wanted(one):
                return one
        raise LookupError(f"there is no workspace {name!r}, or you are no member of it")

    def get_current_workspace(self) -> Workspace:
        """The one that is worked in: set before, or the first that one sees."""
        if self._workspace is None:
            known = self.list_workspaces()
            if not known:
                raise LookupError("you are in no workspace: make one with create_workspace")
            self._workspace = min(known, key=Workspace.id)
        return self._workspace

    def set_current_workspace(self, workspace: Workspace) -> Workspace:
        """Works in this one from now on."""
        self._workspace = workspace
        return workspace

    # Models

    def upload_model(
        self,
        name: str,
        path: "os.PathLike[str] | str",
        framework: Framework = Framework.ONNX,
        side_files: "Optional[Mapping[str, os.PathLike[str] | str]]" = None,
    ) -> ModelVersion:
        """Uploads a file as a further version of the model, and waits until it was checked.

        ``side_files`` are the files that hold weights of it, by the locations that the model has for them.
        Raises :class:`ApiError` when it is refused, with every operator that cannot be run.
        """
        if framework is not Framework.ONNX:
            raise ValueError("an engine runs ONNX alone: export the model to it first")
        return upload(self._api, self.get_current_workspace().id(), name, path, side_files or {})

    def list_models(self) -> List[Model]:
        """The models of the workspace."""
        number = self.get_current_workspace().id()
        answer = self._api.call("models/list", {"workspace_id": number})
        return [Model._of(self._api, one) for one in answer["models"]]

    def get_model(self, name: str, version: Optional[str] = None) -> ModelVersion:
        """A version of a model, the newest when none is named."""
        for model in self.list_models():
            if model.name() == name:
                for one in model.versions():
                    if version is None or one.version() == version:
                        return one
        raise LookupError(f"there is no model {name!r}" + (f" of version {version}" if version else ""))

    # Pipelines

    def build_pipeline(self, pipeline_name: str) -> Pipeline:
        """A pipeline of that name: the one that is there, with no steps yet to save, or a new one."""
        workspace = self.get_current_workspace().id()
        try:
            return self.get_pipeline(pipeline_name)
        except LookupError:
            return Pipeline(self._api, workspace, pipeline_name)

    def get_pipeline(self, name: str) -> Pipeline:
        """The pipeline of that name in the workspace."""
        workspace = self.get_current_workspace().id()
        try:
            answer = self._api.call(
                "pipelines/get_pipeline_by_name",
                {"pipeline_name": name, "workspace_id": workspace},
            )
        except ApiError as error:
            if error.status == 404:
                raise LookupError(f"there is no pipeline {name!r}") from error
            raise
        return Pipeline(self._api, workspace, name, answer["pipeline"]["id"])

    def list_pipelines(self) -> List[Pipeline]:
        """The pipelines of the workspace."""
        workspace = self.get_current_workspace().id()
        answer = self._api.call("pipelines/list_pipelines", {"workspace_id": workspace})
        found = (one["pipeline"] for one in answer["pipelines"])
        return [Pipeline(self._api, workspace, one["name"], one["id"]) for one in found]

    # Publishes and edges

    def list_publishes(self) -> List[PipelinePublish]:
        """The publishes of the workspace."""
        return publishes_of(self._api, {"workspace_id": self.get_current_workspace().id()})

    def list_edges(self) -> List[Edge]:
        """The edges of the workspace's publishes."""
        return edges_of(self._api, {"workspace_id": self.get_current_workspace().id()})

    # Rollouts

    def start_rollout(
        self,
        publish: Union[PipelinePublish, int],
        edges: Optional[Sequence[str]] = None,
        tag: Optional[str] = None,
        from_publish_id: Optional[int] = None,
        waves: Optional[Sequence[Amount]] = None,
        failures_max: Optional[Amount] = None,
        send_back: Optional[bool] = None,
        wave_seconds_max: Optional[int] = None,
        watch: Optional[Mapping[str, Any]] = None,
    ) -> Rollout:
        """Brings a publish to edges, wave by wave: those named, those with the tag, or those that run
        another publish now. ``waves`` and ``failures_max`` are numbers of edges, or parts as ``"10%"``.
        """
        number = publish if isinstance(publish, int) else publish.id
        chosen = (edges, tag, from_publish_id)
        return rollouts.start(
            self._api, number, *chosen, waves, failures_max, send_back, wave_seconds_max, watch
        )

    def list_rollouts(self, limit: int = 100) -> List[Rollout]:
        """The rollouts of the workspace, the newest first."""
        return rollouts.listed(self._api, self.get_current_workspace().id(), limit)

    def get_rollout(self, number: int) -> Rollout:
        """A rollout with how each of its edges fares."""
        return rollouts.shown(self._api, number)
