"""KServe's own client by the Open Inference Protocol: python kserve_v2.py URL"""

import asyncio
import json
import sys
from typing import Any

import numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig
from kserve.protocol.infer_type import RequestedOutput

ROWS = np.array([[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]], np.float32)


def request(outputs: list[str], *, binary: bool) -> InferRequest:
    """Two rows, as raw memory or as JSON, and as what the outputs are wanted."""
    tensor = InferInput("X", list(ROWS.shape), "FP32")
    tensor.set_data_from_numpy(ROWS, binary_data=binary)
    wanted = [RequestedOutput(name, {"binary_data": binary}) for name in outputs]
    return InferRequest("iris", [tensor], request_id="7", request_outputs=wanted)


async def ask(url: str, outputs: list[str]) -> dict[str, Any]:
    """What it gets."""
    client = InferenceRESTClient(RESTConfig(protocol="v2", retries=0))
    told: dict[str, Any] = {
        "live": await client.is_server_live(url),
        "ready": await client.is_server_ready(url),
        "model": await client.is_model_ready(url, "iris"),
    }
    for form, binary in (("binary", True), ("json", False)):
        headers: dict[str, str] = {}
        answer = await client.infer(
            url, request(outputs, binary=binary), model_name="iris", response_headers=headers
        )
        told[form] = {output.name: output.as_numpy().tolist() for output in answer.outputs}
        told[form]["id"] = answer.id
        told[form]["raw"] = "inference-header-content-length" in headers
    await client.close()
    return told


print(json.dumps(asyncio.run(ask(sys.argv[1], sys.argv[2:]))))
