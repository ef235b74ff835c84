"""The model behind LitServe.

BENCH_MODEL=model.onnx python -m bench.servers.litserve PORT
"""

import sys
from typing import Any

import litserve as ls

from bench.servers import labels


class Api(ls.LitAPI):  # type: ignore[misc]  # it ships no types
    """Reads a row, asks for its label, and writes it."""

    def setup(self, device: str) -> None:
        self.model = labels.load()

    def decode_request(self, request):  # type: ignore[no-untyped-def]  # it would read a type
        return request["features"]

    def batch(self, inputs: list[list[float]]) -> list[list[float]]:
        return inputs

    def unbatch(self, output: list[int]) -> list[int]:
        return output

    def predict(self, x: Any) -> Any:
        return self.model(x) if labels.BATCH else self.model([x])[0]

    def encode_response(self, output):  # type: ignore[no-untyped-def]  # as above
        return {"prediction": output}


if __name__ == "__main__":
    # Without a wait for more: what waits already is the batch.
    api = Api(max_batch_size=labels.BATCH or 1)
    server = ls.LitServer(api, accelerator="cpu", workers_per_device=1)
    server.run(
        host="127.0.0.1",
        port=int(sys.argv[1]),
        num_api_servers=1,
        log_level="warning",
        generate_client_file=False,
    )
