"""KServe's own gRPC client: python kserve_grpc.py HOST:PORT"""

import asyncio
import json
import sys
from typing import Any

import numpy as np
from kserve import InferenceGRPCClient, InferInput, InferRequest

ROWS = np.array([[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]], np.float32)


async def ask(place: str) -> dict[str, Any]:
    """What it gets: for rows as raw memory, and as typed contents."""
    client = InferenceGRPCClient(place)
    told: dict[str, Any] = {
        "live": await client.is_server_live(),
        "ready": await client.is_server_ready(),
        "model": await client.is_model_ready("iris"),
        "nobody": await client.is_model_ready("nobody"),
    }
    for form, binary in (("memory", True), ("contents", False)):
        tensor = InferInput("X", list(ROWS.shape), "FP32")
        tensor.set_data_from_numpy(ROWS, binary_data=binary)
        answer = await client.infer(InferRequest("iris", [tensor], request_id="7"))
        told[form] = {output.name: output.as_numpy().tolist() for output in answer.outputs}
        told[form]["id"] = answer.id
    await client.close()
    return told


print(json.dumps(asyncio.run(ask(sys.argv[1]))))
