"""Models and their versions."""

import enum
import os
import time
from typing import Any, Dict, List, Mapping, Optional, Sequence

from .errors import ApiError
from .transport import Api

#: How long a check may take before waiting for it ends; the ops center goes on.
CHECK_SECONDS_MAX = 600.0


class Framework(enum.Enum):
    """Frameworks of the original; engines run ONNX."""

    ONNX = "onnx"


class ModelVersion:
    """One uploaded file under a model's name."""

    def __init__(self, api: Api, name: str, wire: Mapping[str, Any]) -> None:
        self._api = api
        self._name = name
        self._wire = wire
        self._tensor_fields: Optional[List[str]] = None

    def id(self) -> int:
        """Its number."""
        return int(self._wire["id"])

    def name(self) -> str:
        """The model's name."""
        return self._name

    def version(self) -> str:
        """Its UUID."""
        return str(self._wire["model_version"])

    def sha(self) -> str:
        """The sha256 of the file."""
        return str(self._wire["sha"])

    def status(self) -> str:
        """``ready`` when it can be used."""
        return str(self._wire["status"])

    def configure(self, tensor_fields: Optional[Sequence[str]] = None) -> "ModelVersion":
        """Names the columns that its inputs are taken from, one for each input in turn."""
        if tensor_fields is not None:
            self._tensor_fields = list(tensor_fields)
            self._api.call(
                "models/insert_model_config",
                {"model_version_id": self.id(), "tensor_fields": self._tensor_fields},
            )
        return self

    def _key(self) -> Dict[str, str]:
        return {"name": self._name, "version": self.version(), "sha": self.sha()}

    def __repr__(self) -> str:
        return f"ModelVersion({self._name!r}, {self.version()!r}, {self.status()!r})"


class Model:
    """A name with its versions."""

    def __init__(self, api: Api, number: int, name: str) -> None:
        self._api = api
        self._id = number
        self._name = name

    @classmethod
    def _of(cls, api: Api, wire: Mapping[str, Any]) -> "Model":
        return cls(api, wire["id"], wire["name"])

    def id(self) -> int:
        """Its number."""
        return self._id

    def name(self) -> str:
        """Its name."""
        return self._name

    def versions(self) -> List[ModelVersion]:
        """Its versions, the newest first."""
        answer = self._api.call(
            "models/list_versions", {"model_id": self._name, "models_pk_id": self._id}
        )
        found = [ModelVersion(self._api, self._name, one) for one in answer]
        return sorted(found, key=ModelVersion.id, reverse=True)

    def __repr__(self) -> str:
        return f"Model({self._id}, {self._name!r})"


def upload(
    api: Api,
    workspace: int,
    name: str,
    path: "os.PathLike[str] | str",
    side_files: "Mapping[str, os.PathLike[str] | str]",
) -> ModelVersion:
    """Streams the files to the ops center and waits until the model was checked."""
    asked = {"workspace_id": workspace, "name": name, "filename": os.path.basename(os.fspath(path))}
    if side_files:
        # Each file is an upload of its own, finished before the model's.
        model = api.call("uploads", asked)["id"]
        for location, side in side_files.items():
            beside = api.call("uploads", {**asked, "filename": location, "beside": model})["id"]
            _send(api, beside, side)
        answer = _send(api, model, path)
    else:
        with open(path, "rb") as file:
            query = {**asked, "workspace_id": str(workspace), "visibility": "private"}
            size_bytes = os.fstat(file.fileno()).st_size
            answer = api.send_file("models/upload_stream", query, file, size_bytes)
    return _checked(api, name, answer["insert_models"]["returning"][0]["models"][0]["id"])


def _send(api: Api, number: str, path: "os.PathLike[str] | str") -> Any:
    with open(path, "rb") as file:
        api.put_whole(f"uploads/{number}", file, os.fstat(file.fileno()).st_size)
    return api.call(f"uploads/{number}/finish", {})


def _checked(api: Api, name: str, number: int) -> ModelVersion:
    """The version of that number once it is ``ready`` or ``error``."""
    until = time.monotonic() + CHECK_SECONDS_MAX
    pause = 0.05
    while True:
        wire = api.call("models/get_version", {"id": number})
        if wire["status"] == "error":
            raise ApiError(422, wire.get("error") or "the model is refused", "model_refused")
        if wire["status"] == "ready" or time.monotonic() > until:
            return ModelVersion(api, name, wire)
        time.sleep(pause)
        pause = min(pause * 1.5, 2.0)
