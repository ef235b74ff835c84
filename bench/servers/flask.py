"""The model behind Flask.

BENCH_MODEL=model.onnx gunicorn bench.servers.flask:app
"""

from typing import Any

from flask import Flask, request

from bench.servers import labels

app = Flask(__name__)
model = labels.load()


@app.post("/predict")  # type: ignore[untyped-decorator]  # it ships no types
def predict() -> dict[str, Any]:
    return {"prediction": model([request.get_json()["features"]])[0]}
