"""A FastAPI app as most people write it, with an ONNX model behind it.

    BENCH_MODEL=model.onnx uvicorn bench.servers.fastapi_onnx:app

The handlers are `async def` and call the model directly. With plain `def` each request would
also cross a thread pool, which is slower for models as quick as these.
"""

import os

import numpy as np
import onnxruntime as ort
from fastapi import FastAPI
from pydantic import BaseModel


class Row(BaseModel):
    features: list[float]


class Rows(BaseModel):
    features: list[list[float]]


class Prediction(BaseModel):
    prediction: int
    probability: list[float]
    model_version: str = "1"


class Predictions(BaseModel):
    predictions: list[int]
    probabilities: list[list[float]]
    model_version: str = "1"


options = ort.SessionOptions()
options.intra_op_num_threads = (
    1  # as the other servers: more threads than cores only get in the way
)
session = ort.InferenceSession(
    os.environ["BENCH_MODEL"], options, providers=["CPUExecutionProvider"]
)
input_name = session.get_inputs()[0].name

app = FastAPI(title="ONNX model")


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "healthy"}


@app.post("/predict")
async def predict(request: Row) -> Prediction:
    array = np.array([request.features], dtype=np.float32)
    labels, probabilities = session.run(None, {input_name: array})
    return Prediction(prediction=int(labels[0]), probability=probabilities[0].tolist())


@app.post("/predict/batch")
async def predict_batch(request: Rows) -> Predictions:
    array = np.array(request.features, dtype=np.float32)
    labels, probabilities = session.run(None, {input_name: array})
    return Predictions(predictions=labels.tolist(), probabilities=probabilities.tolist())
