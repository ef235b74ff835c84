"""Triton's own client, blocking: python triton_sync.py HOST:PORT OUTPUT..."""

import json
import sys
from typing import Any

import numpy as np
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

ROWS = np.array([[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]], np.float32)


def request(names: list[str], *, binary: bool) -> tuple[Any, list[Any]]:
    """Two rows, as raw memory or as JSON, and as what the outputs are wanted."""
    tensor = triton.InferInput("X", list(ROWS.shape), "FP32")
    tensor.set_data_from_numpy(ROWS, binary_data=binary)
    return tensor, [triton.InferRequestedOutput(name, binary_data=binary) for name in names]


def ask(place: str, names: list[str]) -> dict[str, Any]:
    """What it gets."""
    told: dict[str, Any] = {}
    with triton.InferenceServerClient(place) as client:
        told["live"], told["ready"] = client.is_server_live(), client.is_server_ready()
        told["model"] = client.is_model_ready("iris")
        told["platform"] = client.get_model_metadata("iris")["platform"]
        tensor, wanted = request(names, binary=False)
        raw, raw_wanted = request(names, binary=True)
        answers = {
            "json": client.infer("iris", [tensor], outputs=wanted),
            "binary": client.infer("iris", [raw], outputs=raw_wanted),
            "async": client.async_infer("iris", [raw], outputs=raw_wanted).get_result(),
            "packed": client.infer(
                "iris",
                [raw],
                outputs=raw_wanted,
                request_compression_algorithm="gzip",
                response_compression_algorithm="gzip",
            ),
        }
        for form, answer in answers.items():
            told[form] = {name: answer.as_numpy(name).tolist() for name in names}
        try:
            client.infer("nobody", [tensor])
        except InferenceServerException as error:
            told["unknown"] = str(error)
    return told


print(json.dumps(ask(sys.argv[1], sys.argv[2:])))
