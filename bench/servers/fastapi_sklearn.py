"""A FastAPI app as most people write it, with a scikit-learn pickle behind it.

    BENCH_MODEL=model.joblib uvicorn bench.servers.fastapi_sklearn:app

Label and probabilities come from `predict` and `predict_proba`, as in most such apps, although
that walks the model twice.
"""

import os

import joblib
import numpy as np
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


model = joblib.load(os.environ["BENCH_MODEL"])

app = FastAPI(title="scikit-learn model")


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "healthy"}


@app.post("/predict")
async def predict(request: Row) -> Prediction:
    array = np.array([request.features])
    label = model.predict(array)[0]
    return Prediction(prediction=int(label), probability=model.predict_proba(array)[0].tolist())


@app.post("/predict/batch")
async def predict_batch(request: Rows) -> Predictions:
    array = np.array(request.features)
    labels = model.predict(array)
    return Predictions(
        predictions=labels.tolist(), probabilities=model.predict_proba(array).tolist()
    )
