"""The model behind Ray Serve: one replica of it, with a Ray of its own.

BENCH_MODEL=model.onnx python -m bench.servers.ray_serve PORT
"""

import sys
import threading
from typing import Any

import ray
from ray import serve
from starlette.requests import Request

from bench.servers import labels

MOST = 100
"""Requests that the replica takes at a time; its own default, 5, is too few to batch."""


batched = serve.batch(max_batch_size=labels.BATCH or 1, batch_wait_timeout_s=0.001)


class Labels:
    """One model."""

    def __init__(self) -> None:
        self.model = labels.load()

    @batched  # type: ignore[untyped-decorator]  # it ships no types
    async def together(self, rows: list[list[float]]) -> list[int]:
        return self.model(rows)

    async def __call__(self, request: Request) -> dict[str, Any]:
        row = (await request.json())["features"]
        label = await self.together(row) if labels.BATCH else self.model([row])[0]
        return {"prediction": label}


if __name__ == "__main__":
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
    serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1])})
    deployed = serve.deployment(num_replicas=1, max_ongoing_requests=MOST)(Labels)
    serve.run(deployed.bind(), route_prefix="/predict")
    threading.Event().wait()
