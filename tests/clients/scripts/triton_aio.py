"""Triton's own client under asyncio: python triton_aio.py HOST:PORT OUTPUT..."""

import asyncio
import json
import sys
from typing import Any

import numpy as np
import tritonclient.http.aio as triton

ROWS = np.array([[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]], np.float32)
AT_ONCE = 20


async def ask(place: str, names: list[str]) -> dict[str, Any]:
    """What it gets, many times at once."""
    async with triton.InferenceServerClient(place) as client:
        tensor = triton.InferInput("X", list(ROWS.shape), "FP32")
        tensor.set_data_from_numpy(ROWS, binary_data=True)
        wanted = [triton.InferRequestedOutput(name, binary_data=True) for name in names]
        told: dict[str, Any] = {
            "live": await client.is_server_live(),
            "model": await client.is_model_ready("iris"),
        }
        answers = await asyncio.gather(
            *(client.infer("iris", [tensor], outputs=wanted) for _ in range(AT_ONCE))
        )
    told["answers"] = [
        {name: answer.as_numpy(name).tolist() for name in names} for answer in answers
    ]
    return told


print(json.dumps(asyncio.run(ask(sys.argv[1], sys.argv[2:]))))
