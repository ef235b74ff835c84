"""Triton's own gRPC client under asyncio: python triton_grpc_aio.py HOST:PORT OUTPUT..."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import tritonclient.grpc.aio as triton

ROWS = np.array([[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]], np.float32)
AT_ONCE = 100


async def ask(place: str, names: list[str]) -> dict[str, Any]:
    """What it gets, many times at once, and on a stream."""

    def shown(result: Any) -> dict[str, Any]:
        return {name: result.as_numpy(name).tolist() for name in names}

    async with triton.InferenceServerClient(place) as client:
        tensor = triton.InferInput("X", list(ROWS.shape), "FP32")
        tensor.set_data_from_numpy(ROWS)
        asked = (client.infer("iris", [tensor], client_timeout=30.0) for _ in range(AT_ONCE))
        answers = await asyncio.gather(*asked)

        async def requests() -> AsyncIterator[dict[str, Any]]:
            for at in range(3):
                yield {"model_name": "iris", "inputs": [tensor], "request_id": str(at)}

        streamed = []
        async for result, error in client.stream_infer(requests()):
            streamed.append([result.get_response().id, shown(result), error])
        live = await client.is_server_live()
    return {"live": live, "answers": [shown(answer) for answer in answers], "streamed": streamed}


print(json.dumps(asyncio.run(ask(sys.argv[1], sys.argv[2:]))))
