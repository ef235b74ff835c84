"""TensorFlow Serving as its users ask it: python tfserving_requests.py URL"""

import json
import sys
from typing import Any

import requests

ROWS = [[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]]


def ask(url: str) -> dict[str, Any]:
    """What it gets."""
    model = f"{url}/v1/models/iris"
    with requests.Session() as session:
        asked = {
            "status": session.get(model),
            "metadata": session.get(model + "/metadata"),
            "rows": session.post(model + ":predict", json={"instances": ROWS}),
            "columns": session.post(model + ":predict", json={"inputs": {"X": ROWS}}),
            "version": session.post(model + "/versions/1:predict", json={"instances": ROWS}),
            "unknown": session.post(f"{url}/v1/models/nobody:predict", json={"instances": ROWS}),
        }
    return {name: [answer.status_code, answer.json()] for name, answer in asked.items()}


print(json.dumps(ask(sys.argv[1])))
