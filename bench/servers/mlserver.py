"""The model behind MLServer: its own runtime for scikit-learn, or one of ours for ONNX, as its
documentation says to write them.

BENCH_MODEL=model.joblib BENCH_FOLDER=folder python -m bench.servers.mlserver PORT
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse

from bench.servers import labels

PICKLE = "mlserver_sklearn.SKLearnModel"
ONNX = "bench.servers.mlserver.OnnxModel"
BATCH_SECONDS = 0.001


class OnnxModel(MLModel):  # type: ignore[misc]  # it ships no types
    """MLServer has no runtime for ONNX."""

    async def load(self) -> bool:
        self._labels = labels.load()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        import numpy as np

        rows = NumpyCodec.decode_input(payload.inputs[0])
        found = np.array(self._labels(rows))
        output = NumpyCodec.encode_output("label", found)
        return InferenceResponse(model_name=self.name, model_version=self.version, outputs=[output])


def main() -> None:
    path, port = Path(os.environ["BENCH_MODEL"]), int(sys.argv[1])
    folder = Path(os.environ["BENCH_FOLDER"])
    folder.mkdir(parents=True, exist_ok=True)
    model: dict[str, Any] = {
        "name": path.stem,
        "implementation": ONNX if path.suffix == ".onnx" else PICKLE,
        "parameters": {"uri": str(path), "version": "1"},
    }
    if labels.BATCH:
        model |= {"max_batch_size": labels.BATCH, "max_batch_time": BATCH_SECONDS}
    (folder / "model-settings.json").write_text(json.dumps(model))
    # Processes of their own for models would have to share the one core with it.
    settings = {
        "host": "127.0.0.1",
        "http_port": port,
        "grpc_port": port + 1,
        "metrics_endpoint": None,
        "parallel_workers": 0,
        "debug": False,
    }
    (folder / "settings.json").write_text(json.dumps(settings))
    mlserver = Path(sys.executable).with_name("mlserver")
    os.environ["PYTHONPATH"] = os.getcwd()
    os.execv(mlserver, [str(mlserver), "start", str(folder)])  # noqa: S606 - there is no shell in between


if __name__ == "__main__":
    main()
