"""Client of the potoroo ops center and of the engines on the edge.

    import potoroo

    wl = potoroo.Client("https://ops.example.com", token="ptr_…")
    model = wl.upload_model("ccfraud", "ccfraud.onnx")
    pipeline = wl.build_pipeline("fraud").add_model_step(model)
    publish = pipeline.publish()
    edge = publish.add_edge("till-7", tags=["shop"])
    print(edge.docker_run_variables["EDGE_BUNDLE"])

    engine = potoroo.Engine("http://till-7:8080")
    engine.infer([{"tensor": [1.0, 2.0]}])
"""

from .client import Client
from .engine import Engine
from .errors import ApiError, EngineError, PotorooError, PublishError, UnreachableError
from .models import Framework, Model, ModelVersion
from .pipelines import Pipeline, PipelineVersion
from .publishes import Edge, PipelinePublish
from .rollouts import Rollout, RolloutEdge
from .workspaces import Workspace

__all__ = [
    "ApiError",
    "Client",
    "Edge",
    "Engine",
    "EngineError",
    "Framework",
    "Model",
    "ModelVersion",
    "Pipeline",
    "PipelinePublish",
    "PipelineVersion",
    "PotorooError",
    "PublishError",
    "Rollout",
    "RolloutEdge",
    "UnreachableError",
    "Workspace",
]
__version__ = "0.1.0"
