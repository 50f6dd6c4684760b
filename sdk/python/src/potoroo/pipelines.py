"""Pipelines: steps that are saved as immutable versions and published."""

import datetime
import os
import pathlib
import sys
import time
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from . import logs
from .errors import PublishError
from .models import ModelVersion
from .publishes import Edge, PipelinePublish, edges_of, publishes_of
from .transport import Api

#: How long a publish is waited for, and how often it is asked about, in seconds.
PUBLISH_SECONDS_MAX = 600
PUBLISH_PAUSE_SECONDS = 5.0


class PipelineVersion:
    """One saved list of steps."""

    def __init__(self, api: Api, number: int, version: str, pipeline: str) -> None:
        self._api = api
        self._id = number
        self._version = version
        self._pipeline = pipeline

    def id(self) -> int:
        """Its number."""
        return self._id

    def name(self) -> str:
        """Its UUID: the tag of its publishes."""
        return self._version

    def definition(self) -> Dict[str, Any]:
        """Its steps, as they were saved."""
        answer = self._api.call("pipelines/get_version", {"version": self._version})
        definition: Dict[str, Any] = answer["definition"]
        return definition

    def publish(
        self,
        deployment_config: Optional[Mapping[str, Any]] = None,
        replaces: Sequence[PipelinePublish] = (),
        pause_seconds: float = PUBLISH_PAUSE_SECONDS,
    ) -> PipelinePublish:
        """Publishes it and waits for the end; see :meth:`Pipeline.publish`."""
        wire = self._api.call(
            "pipelines/publish",
            {
                "pipeline_version_id": self._id,
                "engine_config": deployment_config,
                "replaces": [one.id for one in replaces],
            },
        )
        return _published(self._api, PipelinePublish(self._api, wire), pause_seconds)

    def __repr__(self) -> str:
        return f"PipelineVersion({self._pipeline!r}, {self._version!r})"


class Pipeline:
    """A name with saved versions, and steps that are not saved yet."""

    def __init__(self, api: Api, workspace: int, name: str, number: Optional[int] = None) -> None:
        self._api = api
        self._workspace = workspace
        self._name = name
        self._id = number
        self._steps: List[Dict[str, Any]] = []

    def id(self) -> Optional[int]:
        """Its number; none before a version was saved."""
        return self._id

    def name(self) -> str:
        """Its name."""
        return self._name

    # Steps, in turn

    def add_model_step(self, model_version: ModelVersion) -> "Pipeline":
        """A model that takes what comes and gives it on."""
        return self._add({"ModelInference": {"models": [model_version._key()]}})

    def add_shadow_deploy(
        self, champion: ModelVersion, challengers: Sequence[ModelVersion]
    ) -> "Pipeline":
        """A model that answers, and others that compute beside it and are recorded."""
        keys = [one._key() for one in (champion, *challengers)]
        self._add({"ModelInference": {"models": keys}})
        self._add({"AuditResults": {"from": 1, "to": None}})
        return self._add({"MultiOut": {}})

    def add_random_split(
        self, weighted: Sequence[Tuple[float, ModelVersion]], hash_key: Optional[str] = None
    ) -> "Pipeline":
        """One of the models, by weight; by a column's value when ``hash_key`` names one."""
        weights = [{"model": one._key(), "weight": weight} for weight, one in weighted]
        return self._add({"RandomSplit": {"hash_key": hash_key, "weights": weights}})

    def add_key_split(
        self, default: ModelVersion, meta_key: str, options: Mapping[str, ModelVersion]
    ) -> "Pipeline":
        """The model that a column's value names, ``default`` for all other values."""
        routes = {value: one._key() for value, one in options.items()}
        split = {"split_key": meta_key, "control": default._key(), "routes": routes}
        return self._add({"MetaValueSplit": split})

    def add_validations(self, **validations: Any) -> "Pipeline":
        """Expressions that find an anomaly where they are true: text (``out.dense_1[0] > 0.9``),
        or polars expressions (``pl.col("out.dense_1").list.get(0) > 0.9``)."""
        texts, trees = [], []
        for name, expression in validations.items():
            if isinstance(expression, str):
                texts.append({"name": name, "expression": expression, "finds_anomaly": True})
            else:
                trees.append(_polars(expression.alias(name)))
        return self._add({"Check": {"tree": trees, "validations": texts}})

    def add_validation(self, name: str, must_hold: str) -> "Pipeline":
        """An expression that must hold (``model.outputs[0][0] < 100``); where it does not, the
        record's ``check_failures`` say so."""
        validation = {"name": name, "expression": must_hold, "finds_anomaly": False}
        return self._add({"Check": {"tree": [], "validations": [validation]}})

    def steps(self) -> List[Dict[str, Any]]:
        """The steps that the next version is saved with."""
        return list(self._steps)

    def clear(self) -> "Pipeline":
        """Forgets the steps that are not saved."""
        self._steps = []
        return self

    def _add(self, step: Dict[str, Any]) -> "Pipeline":
        self._steps.append(step)
        return self

    # Versions and publishes

    def create_version(self) -> PipelineVersion:
        """Saves the steps as a version, and checks them against the models' schemas."""
        answer = self._api.call(
            "pipelines/create",
            {
                "pipeline_id": self._name,
                "workspace_id": self._workspace,
                "definition": {"steps": self._steps},
            },
        )
        self._id = answer["pipeline_pk_id"]
        number, version = answer["pipeline_variant_pk_id"], answer["pipeline_variant_version"]
        return PipelineVersion(self._api, number, version, self._name)

    def versions(self) -> List[PipelineVersion]:
        """Its versions, the newest first."""
        if self._id is None:
            return []
        answer = self._api.call(
            "pipelines/list_pipeline_versions",
            {"pipeline_id": self._id, "workspace_id": self._workspace},
        )
        found = (one["pipeline_version"] for one in answer["pipeline_versions"])
        versions = [PipelineVersion(self._api, one["id"], one["version"], self._name) for one in found]
        return sorted(versions, key=PipelineVersion.id, reverse=True)

    def publish(
        self,
        deployment_config: Optional[Mapping[str, Any]] = None,
        replaces: Sequence[PipelinePublish] = (),
        pause_seconds: float = PUBLISH_PAUSE_SECONDS,
    ) -> PipelinePublish:
        """Saves the steps, or takes the newest version when there are none, and publishes it.

        Waits up to 600 s and says so on standard output, as the original does. Raises
        :class:`PublishError` when it ends with ``Error``.
        """
        if self._steps or self._id is None:
            version = self.create_version()
            self.clear()
        else:
            version = self.versions()[0]
        return version.publish(deployment_config, replaces, pause_seconds)

    def publishes(self) -> List[PipelinePublish]:
        """Its publishes."""
        return [] if self._id is None else publishes_of(self._api, {"pipeline_id": self._id})

    def list_edges(self) -> List[Edge]:
        """The edges of its publishes."""
        return [] if self._id is None else edges_of(self._api, {"pipeline_id": self._id})

    def logs(
        self,
        limit: Optional[int] = None,
        start_datetime: Optional[datetime.datetime] = None,
        end_datetime: Optional[datetime.datetime] = None,
        dataset: Sequence[str] = ("*",),
        dataset_exclude: Sequence[str] = ("metadata",),
        dataset_separator: str = ".",
        arrow: bool = False,
        edges: Sequence[str] = (),
        failures_only: bool = False,
    ) -> Any:
        """What edges inferred, the latest first, 100 rows unless ``limit`` says otherwise.

        A DataFrame of ``time, in.*, out.*, anomaly.*`` columns, or a list of rows without pandas; with
        ``arrow`` a pyarrow Table. ``dataset_exclude=()`` brings ``metadata.*``, in which ``partition`` is
        the edge. Times without a zone are local.
        """
        accept = logs.ARROW if arrow else "application/json; format=pandas-records"
        body = logs.wanted(self._id, start_datetime, end_datetime, edges, failures_only)
        limit = logs.LIMIT if limit is None else limit
        source = logs.pages(
            self._api, body, limit, accept, dataset, dataset_exclude, dataset_separator
        )
        return logs.table(source) if arrow else logs.frame(source)

    def export_logs(
        self,
        directory: "os.PathLike[str] | str" = "logs",
        file_prefix: Optional[str] = None,
        start_datetime: Optional[datetime.datetime] = None,
        end_datetime: Optional[datetime.datetime] = None,
        arrow: bool = False,
        file_format: str = "parquet",
        edges: Sequence[str] = (),
        failures_only: bool = False,
    ) -> pathlib.Path:
        """Writes everything that edges inferred into one file: ``parquet``, ``arrow`` or ``csv``."""
        body = logs.wanted(self._id, start_datetime, end_datetime, edges, failures_only)
        file_format = "arrow" if arrow else file_format
        return logs.exported(self._api, body, file_format, directory, file_prefix or self._name)

    def log_losses(self, edges: Sequence[str] = ()) -> List[Dict[str, Any]]:
        """What edges inferred and could not keep or send, the newest first."""
        body = logs.wanted(self._id, None, None, edges, False)
        found: List[Dict[str, Any]] = self._api.call("pipelines/get_log_losses", body)["losses"]
        return found

    def __repr__(self) -> str:
        return f"Pipeline({self._name!r})"


def _polars(expression: Any) -> str:
    """The tree of a polars expression, as polars writes it."""
    try:
        return str(expression.meta.serialize(format="json"))
    except TypeError:  # polars before 1.0
        return str(expression.meta.write_json())


def _published(api: Api, publish: PipelinePublish, pause_seconds: float) -> PipelinePublish:
    out = sys.stdout
    out.write(f"Waiting for pipeline publish... It may take up to {PUBLISH_SECONDS_MAX} sec.\n")
    out.write("Pipeline is publishing")
    until = time.monotonic() + PUBLISH_SECONDS_MAX
    while publish.status not in ("Published", "Error"):
        if time.monotonic() > until:
            raise PublishError(f"publish {publish.id} is still {publish.status}: ask again later")
        out.write(".")
        out.flush()
        time.sleep(pause_seconds)
        publish = PipelinePublish(api, api.call("pipelines/get_publish_status", {"id": publish.id}))
    if publish.status == "Error":
        out.write(f" ERROR. {publish.error}\n")
        raise PublishError(publish.error or "the publish failed")
    out.write(" Published.\n")
    return publish
