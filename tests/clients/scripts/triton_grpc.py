"""Triton's own gRPC client, blocking: python triton_grpc.py HOST:PORT OUTPUT..."""

import json
import queue
import sys
from typing import Any

import numpy as np
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

ROWS = np.array([[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]], np.float32)


def tensor(array: Any = ROWS) -> Any:
    """An input, as raw memory."""
    return triton.InferInput("X", list(array.shape), "FP32").set_data_from_numpy(array)


def shown(result: Any, names: list[str]) -> dict[str, Any]:
    """The outputs."""
    return {name: result.as_numpy(name).tolist() for name in names}


def streamed(client: Any, names: list[str]) -> list[Any]:
    """What comes on a stream: of three requests, one of which is wrong."""
    came: queue.Queue[Any] = queue.Queue()
    client.start_stream(callback=lambda result, error: came.put((result, error)))
    for model, id_ in (("iris", "1"), ("nobody", "2"), ("iris", "3")):
        client.async_stream_infer(model, [tensor()], request_id=id_)
    told: list[Any] = []
    for result, error in [came.get(timeout=20) for _ in range(3)]:
        if error:
            told.append(error.message())
            continue
        response = result.get_response()
        final = response.parameters["triton_final_response"].bool_param
        told.append([response.id, final, shown(result, names)])
    client.stop_stream()
    return told


def refusal(function: Any) -> list[str]:
    """The status and the text that a call fails with."""
    try:
        function()
    except InferenceServerException as error:
        return [error.status(), error.message()]
    raise AssertionError("it did not fail")


def ask(place: str, names: list[str]) -> dict[str, Any]:
    """What it gets."""
    told: dict[str, Any] = {}
    wanted = [triton.InferRequestedOutput(name) for name in names]
    with triton.InferenceServerClient(place) as client:
        told["live"], told["ready"] = client.is_server_live(), client.is_server_ready()
        told["model"], told["nobody"] = (
            client.is_model_ready("iris"),
            client.is_model_ready("nobody"),
        )
        told["server"] = client.get_server_metadata().name
        metadata = client.get_model_metadata("iris")
        told["metadata"] = [metadata.name, list(metadata.inputs[0].shape)]
        told["batch"] = client.get_model_config("iris").config.max_batch_size
        answers = {
            "plain": client.infer("iris", [tensor()]),
            "named": client.infer("iris", [tensor()], outputs=wanted, request_id="7"),
            "packed": client.infer("iris", [tensor()], compression_algorithm="gzip"),
        }
        told |= {form: shown(answer, names) for form, answer in answers.items()}
        told["id"] = answers["named"].get_response().id
        many = np.zeros((50_000, 4), np.float32)
        told["many"] = len(client.infer("iris", [tensor(many)]).as_numpy(names[0]))
        told["stream"] = streamed(client, names)
        told["inferences"] = client.get_inference_statistics("iris").model_stats[0].inference_count
        told["index"] = [each.name for each in client.get_model_repository_index().models]
        told["log"] = client.get_log_settings().settings["log_format"].string_param
        told["regions"] = len(client.get_system_shared_memory_status().regions)
        told["unknown"] = refusal(lambda: client.infer("nobody", [tensor()]))
        told["narrow"] = refusal(lambda: client.infer("iris", [tensor(ROWS[:, :2].copy())]))
        told["load"] = refusal(lambda: client.load_model("iris"))
    return told


print(json.dumps(ask(sys.argv[1], sys.argv[2:])))
