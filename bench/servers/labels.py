"""What the other servers have behind them: one model, asked for the labels of rows.

Each server's program calls this, so that they differ in nothing but the serving. One walk over the
model, and its labels alone: less than inferd answers, which tells the probabilities too.
"""

import os
from collections.abc import Callable

import numpy as np

Labels = Callable[[list[list[float]]], list[int]]
BATCH = int(os.environ.get("BENCH_BATCH", "0"))
"""Rows that the server may put together; 0: it shall not."""


def load() -> Labels:
    """Of the file that BENCH_MODEL names: a pickle or an ONNX model."""
    path = os.environ["BENCH_MODEL"]
    return _onnx(path) if path.endswith(".onnx") else _pickle(path)


def _pickle(path: str) -> Labels:
    import joblib

    model = joblib.load(path)

    def labels(rows: list[list[float]]) -> list[int]:
        found: list[int] = model.predict(np.array(rows)).tolist()
        return found

    return labels


def _onnx(path: str) -> Labels:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = 1  # more threads than cores only get in the way
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name, wanted = session.get_inputs()[0].name, [session.get_outputs()[0].name]

    def labels(rows: list[list[float]]) -> list[int]:
        found: list[int] = session.run(wanted, {name: np.array(rows, np.float32)})[0].tolist()
        return found

    return labels
