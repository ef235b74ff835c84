"""One port stays calm: health answers in time while a slow model runs and a huge body is read."""

import http.client
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]

SLOW_RUNTIME = '''
"""Sleeps for two seconds."""
import time

from inferd.runtimes.base import Runtime
from inferd.signature import Signature, TensorSpec


class Slow(Runtime):
    name = "slow"
    signature = Signature(
        (TensorSpec("x", "FP32", (-1, 4)),), (TensorSpec("y", "FP32", (-1,)),), batch_axis=0
    )

    @classmethod
    def recognises(cls, artifact):
        return artifact.suffix == ".slow"

    @classmethod
    def open(cls, artifact):
        return cls()

    def run(self, inputs, outputs):
        time.sleep(2.0)
        return {"y": inputs["x"].sum(axis=1)}


plugin = Slow
'''


@pytest.fixture
def port(tmp_path: Path, models: Any) -> Iterator[int]:
    """A server of a slow model, which a third party's runtime runs, and of a quick one."""
    (tmp_path / "slow_runtime.py").write_text(SLOW_RUNTIME)
    (tmp_path / "model.slow").write_text("")
    about = tmp_path / "slow-0.1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: slow\nVersion: 0.1\n")
    (about / "entry_points.txt").write_text("[inferd.runtimes]\nslow = slow_runtime\n")
    command = [sys.executable, "-m", "inferd", "serve", tmp_path / "model.slow", models.iris]
    process = subprocess.Popen(
        [*command, "--port", "0"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    with process.stdout:
        yield int(process.stdout.readline().partition("127.0.0.1:")[2].split()[0])
    process.terminate()
    assert process.wait(30) == 0


class Pulse(threading.Thread):
    """Asks for health all the time, and keeps how long each answer took."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self.seconds: list[float] = []
        self.over = threading.Event()
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def run(self) -> None:
        while not self.over.wait(0.005):
            started = time.perf_counter()
            self._connection.request("GET", "/health")
            assert self._connection.getresponse().read() == b'{"status":"healthy"}'
            self.seconds.append(time.perf_counter() - started)
        self._connection.close()


def ask(port: int, path: str, body: bytes) -> Any:
    """The answer's document."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    connection.request("POST", path, body)
    response = connection.getresponse()
    document = json.loads(response.read())
    connection.close()
    assert response.status == 200, document
    return document


def test_health_answers_within_50_ms_beside_a_sleeping_model_and_a_body_of_64_mb(port: int) -> None:
    """Neither a model that sleeps for 2 s nor a body of 64 MB keeps /health waiting (p99)."""
    rows = np.random.default_rng(0).normal(size=(800_000, 4)).round(15)
    shape, data = b"[%d,4]" % len(rows), json.dumps(rows.ravel().tolist()).encode()
    body = b'{"inputs":[{"name":"X","shape":%b,"datatype":"FP32","data":%b}]}' % (shape, data)
    assert 60_000_000 < len(body) <= 64 * 1024 * 1024
    pulse = Pulse(port)
    pulse.start()
    sleeper = threading.Thread(
        target=lambda: [ask(port, "/v1/predict/model", b'{"features":[1,2,3,4]}') for _ in range(2)]
    )
    sleeper.start()
    outputs = ask(port, "/v2/models/iris/infer", body)["outputs"]
    sleeper.join()
    pulse.over.set()
    pulse.join()
    assert outputs[0]["shape"] == [800_000]
    assert np.percentile(pulse.seconds, 99) < 0.05
