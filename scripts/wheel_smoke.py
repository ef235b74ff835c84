"""Asks an installed inferd, with its core dependencies alone, for what everyone needs first.

Run with the interpreter that inferd is installed for: ``python wheel_smoke.py MODEL.onnx``.
"""

import json
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import inferd


def main(path: Path) -> None:
    """Use each of the three doors (command, Python, server) once."""
    command = Path(sys.executable).with_name("inferd")
    subprocess.run([command, "--help"], check=True, stdout=subprocess.DEVNULL)
    for name in inferd.__all__:
        getattr(inferd, name)

    row = [0.5] * 30
    with inferd.serve(path, port=0) as server:
        answer = _json(f"{server.url}/predict", {"features": row})
        schema = _json(f"{server.url}/openapi.json")
        _get(f"{server.url}/docs")
    if answer["prediction"] != inferd.load(path).predict([row])[0]:
        sys.exit(f"the server answered {answer}, and inferd.load something else")
    print(f"inferd {inferd.__version__} alone serves {len(schema['paths'])} paths; {answer}")


def _get(url: str, body: bytes | None = None) -> bytes:
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, body, headers)  # noqa: S310 - our own server
    with urllib.request.urlopen(request, timeout=10) as reply:  # noqa: S310 - as above
        content: bytes = reply.read()
    return content


def _json(url: str, document: Any = None) -> Any:
    return json.loads(_get(url, None if document is None else json.dumps(document).encode()))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
