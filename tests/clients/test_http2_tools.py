"""Clients of HTTP/2 and gRPC that are no Python: Node.js's grpc-js, curl, and h2load."""

import json
import re
import shutil
import struct
from pathlib import Path
from typing import Any

import pytest

from inferd.server.embedded import Server
from inferd.wire.proto import message
from tests.clients.conftest import ROOT, SCRIPTS, output

pytestmark = pytest.mark.clients

MODULES = ROOT / ".venv-clients/node_modules"
ROW = [5.1, 3.5, 1.4, 0.2]


def _needed(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not installed: scripts/test-clients says how")
    return found


def _address(doors: Server) -> str:
    return doors.url.removeprefix("http://")


@pytest.fixture(scope="module")
def label(answers: Any, models: Any) -> int:
    """What ONNX Runtime itself answers to the row."""
    import numpy as np

    label: int = answers(models.iris, {"X": np.array([ROW], np.float32)})["label"].tolist()[0]
    return label


def test_grpc_js(doors: Server, label: int) -> None:
    """300 calls at once over one connection, a large one, a stream, refusals, a late deadline."""
    node = _needed("node")
    if not MODULES.exists():
        pytest.skip("@grpc/grpc-js is not installed: make test-clients installs it")
    script = str(SCRIPTS / "grpc_js.js")
    told = json.loads(output([node, script, _address(doors), str(ROOT / "protos"), str(MODULES)]))
    unknown = "Request for unknown model: 'nobody' is not found"
    assert told == {
        "live": True,
        "label": label,
        "ids": 300,
        "large": 50_000,
        "stream": ["1", unknown, "3"],
        "unknown": [5, unknown],
        "late": 4,
    }


@pytest.mark.parametrize("path", ["/v2/models/iris", "/docs", "/openapi.json", "/v2/health/ready"])
def test_curl_reads_over_http2_what_it_reads_over_http1(doors: Server, path: str) -> None:
    """By prior knowledge, on the same port."""
    curl = [_needed("curl"), "--silent", "--show-error", "--write-out", "%{http_version}"]
    asked = [output([*curl, way, doors.url + path]) for way in PRIOR]
    assert asked[0].removesuffix("2") == asked[1].removesuffix("1.1")


PRIOR = ("--http2-prior-knowledge", "--http1.1")


def test_curl_asks_over_http2(doors: Server, label: int) -> None:
    """A body with a length, and one without."""
    curl = [_needed("curl"), "--silent", "--show-error", PRIOR[0], f"{doors.url}/v1/predict/iris"]
    body = json.dumps({"features": ROW})
    for more in ([], ["--header", "transfer-encoding: chunked"]):
        told = json.loads(output([*curl, *more, "--data", body]))
        assert told["prediction"] == label


def test_h2load_has_no_failure(doors: Server, tmp_path: Path) -> None:
    """100 connections with 100 calls at once each: every one of 20,000 succeeds."""
    h2load = _needed("h2load")
    request = message("inference.ModelInferRequest")(model_name="iris")
    request.inputs.add(name="X", datatype="FP32").shape.extend([1, 4])
    request.raw_input_contents.append(struct.pack("<4f", *ROW))
    serialized = request.SerializeToString()
    (tmp_path / "body").write_bytes(b"\0" + len(serialized).to_bytes(4) + serialized)
    headers = ["-H", "content-type: application/grpc", "-H", "te: trailers"]
    url = f"{doors.url}/inference.GRPCInferenceService/ModelInfer"
    load = ["-c100", "-m100", "-n20000", "-d", str(tmp_path / "body"), *headers, url]
    told = output([h2load, *load])
    counts = re.search(r"requests: (.*)", told)
    assert counts is not None
    assert counts[1] == (
        "20000 total, 20000 started, 20000 done, 20000 succeeded, 0 failed, 0 errored, 0 timeout"
    )
