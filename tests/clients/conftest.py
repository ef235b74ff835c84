"""A server with a port for the clients of each other server, and what runs a client against it."""

import json
import os
import pickle
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import inferd
from inferd.server.embedded import Server
from tests.conftest import FEATURES, Models

ROOT = Path(__file__).parents[2]
SCRIPTS = Path(__file__).parent / "scripts"
PYTHON = ROOT / ".venv-clients/bin/python"
SECONDS = 50  # a client's packages alone take some seconds to be imported on a busy machine

Ask = Callable[..., Any]


@pytest.fixture(scope="session")
def flowers(models: Models, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pickled classifier that was trained on a data frame: its columns and labels have names."""
    import pandas as pd
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression

    data = load_iris()
    names = np.array(["setosa", "versicolor", "virginica"])[data.target]
    frame = pd.DataFrame(data.data, columns=FEATURES)
    path = tmp_path_factory.mktemp("flowers") / "flowers.pkl"
    path.write_bytes(pickle.dumps(LogisticRegression(max_iter=1000).fit(frame, names)))
    return path


@pytest.fixture(scope="session")
def doors(
    models: Models, flowers: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """The server; ``/invocations`` asks flowers."""
    with inferd.serve(
        models.iris,
        flowers,
        default_model="flowers",
        cache_dir=str(tmp_path_factory.mktemp("cache")),
        kserve=0,
        tfserving=0,
        triton=0,
    ) as running:
        yield running


@pytest.fixture(scope="session")
def ask() -> Ask:
    """Runs a script of ``scripts/`` with the clients' own Python, and reads the JSON it prints."""
    if not PYTHON.exists():
        pytest.skip("the clients are not installed: make test-clients installs them")

    def run(script: str, *arguments: str) -> Any:
        return json.loads(output([str(PYTHON), str(SCRIPTS / script), *arguments]))

    return run


def output(command: list[str]) -> str:
    """What a program prints; it must succeed."""
    # No client may look for a proxy, or tell anybody that it was used.
    environment = os.environ | {"NO_PROXY": "*", "MLFLOW_DISABLE_TELEMETRY": "true"}
    ran = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout
