"""LitServe, one worker and one API server: MODEL NAME PORT."""

import sys
from typing import Annotated

import litserve
from fastapi import Depends, Request, Response

from model import ARROW, Model


async def content(request: Request) -> tuple[bytes, bool]:
    """The body as it came: LitServe by itself would make values of JSON and know no Arrow."""
    return await request.body(), request.headers.get("content-type") == ARROW


class Inference(litserve.LitAPI):
    def __init__(self, path, name):
        super().__init__(api_path=f"/pipelines/{name}")
        self.path, self.name = path, name

    def setup(self, device):
        self.model = Model(self.path, self.name)

    def decode_request(self, request: Annotated[tuple, Depends(content)]):
        return request

    def predict(self, request):
        return self.model.answer(*request)

    def encode_response(self, output) -> Response:
        return Response(output, media_type="application/json")


if __name__ == "__main__":
    path, name, port = sys.argv[1:]
    server = litserve.LitServer(
        Inference(path, name),
        accelerator="cpu",
        workers_per_device=1,
        fast_queue=True,
        disable_openapi_url=True,
    )
    server.run(
        host="127.0.0.1",
        port=int(port),
        num_api_servers=1,
        generate_client_file=False,
        log_level="warning",
        access_log=False,
    )
