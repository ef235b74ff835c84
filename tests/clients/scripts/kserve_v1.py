"""KServe's own client by its first protocol: python kserve_v1.py URL"""

import asyncio
import json
import sys
from typing import Any

import httpx
from kserve import InferenceRESTClient, RESTConfig

ROW = [5.1, 3.5, 1.4, 0.2]


async def ask(url: str) -> dict[str, Any]:
    """What it gets."""
    client = InferenceRESTClient(RESTConfig(protocol="v1", retries=0))
    told = {
        "live": await client.is_server_live(url),
        "ready": await client.is_model_ready(url, "flowers"),
        "rows": await client.infer(url, {"instances": [ROW, ROW]}, model_name="flowers"),
        "inputs": await client.infer(url, {"inputs": [ROW]}, model_name="flowers"),
    }
    try:
        await client.infer(url, {"instances": [ROW]}, model_name="nobody")
    except httpx.HTTPStatusError as error:
        told["unknown"] = [error.response.status_code, str(error)]
    try:
        await client.infer(url, {"instances": [ROW[:2]]}, model_name="flowers")
    except httpx.HTTPStatusError as error:
        told["narrow"] = [error.response.status_code, str(error)]
    await client.close()
    return told


print(json.dumps(asyncio.run(ask(sys.argv[1]))))
