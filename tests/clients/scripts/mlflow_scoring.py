"""MLflow's own client of a scoring server: python mlflow_scoring.py URL"""

import json
import sys
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pandas as pd
from mlflow.pyfunc.scoring_server.client import ScoringServerClient

ROWS = np.array([[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]])
COLUMNS = ["sepal length", "sepal width", "petal length", "petal width"]


def ask(host: str, port: int) -> dict[str, Any]:
    """What it gets."""
    client = ScoringServerClient(host, port)
    client.wait_server_ready(timeout=10)
    frame = pd.DataFrame(ROWS, columns=COLUMNS, index=["a", "b"])
    more = frame.assign(colour=["red", "blue"])[["colour", *reversed(COLUMNS)]]
    told: dict[str, Any] = {
        "version": client.get_version(),
        "frame": client.invoke(frame),
        "other order": client.invoke(more, params={"unused": 1}),
        "array": client.invoke(ROWS),
        "list": client.invoke(ROWS.tolist()),
        "as frame": client.invoke(frame).get_predictions()[0].tolist(),
    }
    try:
        client.invoke(frame.drop(columns="sepal width"))
    except Exception as error:  # noqa: BLE001 - it raises nothing narrower
        told["missing"] = str(error)
    return told


place = urlsplit(sys.argv[1])
print(json.dumps(ask(str(place.hostname), int(place.port or 80))))
