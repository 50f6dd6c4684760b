"""FastAPI on uvicorn, one process: MODEL NAME PORT."""

import sys

import uvicorn
from fastapi import FastAPI, Request, Response

from model import ARROW, Model

path, name, port = sys.argv[1:]
model = Model(path, name)
app = FastAPI(openapi_url=None)


@app.post(f"/pipelines/{name}")
async def infer(request: Request) -> Response:
    is_arrow = request.headers.get("content-type") == ARROW
    # In the loop itself: a hop to a pool of threads costs more than it gives on two cores that
    # onnxruntime's threads fill (benches/README.md).
    answer = model.answer(await request.body(), is_arrow)
    return Response(answer, media_type="application/json")


uvicorn.run(app, host="127.0.0.1", port=int(port), log_level="warning", access_log=False)
