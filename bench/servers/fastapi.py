"""The model behind FastAPI.

    BENCH_MODEL=model.onnx uvicorn bench.servers.fastapi:app

The handler is `async def`: with plain `def` each request would also cross a thread pool, which is
slower for models as quick as these.
"""

from fastapi import FastAPI
from pydantic import BaseModel

from bench.servers import labels


class Row(BaseModel):
    features: list[float]


class Prediction(BaseModel):
    prediction: int


app = FastAPI()
model = labels.load()


@app.post("/predict")
async def predict(row: Row) -> Prediction:
    return Prediction(prediction=model([row.features])[0])
