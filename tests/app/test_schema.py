"""schemathesis asks everything that the OpenAPI document promises, and much that it does not."""

import subprocess
import sys
from pathlib import Path

import inferd
from tests.conftest import Models

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)
OPTIONS = ("--max-examples", "5", "--seed", "1", "--checks", ",".join(CHECKS))


def test_no_request_breaks_the_document_or_the_server(models: Models, tmp_path: Path) -> None:
    """Whatever is asked, the answer has a status, a type and fields that the document tells, and
    is no failure of the server's. (A regressor may answer Infinity, for which JSON and its schemas
    have no words.)"""
    tool = Path(sys.executable).with_name("schemathesis")
    with inferd.serve(models.iris, models.species, default_model="iris") as server:
        asked = subprocess.run(
            [tool, "run", f"{server.url}/openapi.json", *OPTIONS],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert asked.returncode == 0, asked.stdout[-4000:]
