"""Triton's server without a model, asked over gRPC alone; ``bench.triton`` has fetched it.

python -m bench.servers.triton PORT
"""

import os
import sys
from pathlib import Path

from bench import triton

WORK = Path(__file__).resolve().parents[2] / ".bench"


def main() -> None:
    found = triton.program(WORK)
    models = WORK / "no-models"
    models.mkdir(exist_ok=True)
    options = [
        f"--model-repository={models}",
        f"--backend-directory={found.parents[1] / 'backends'}",
        "--grpc-address=127.0.0.1",
        f"--grpc-port={sys.argv[1]}",
        "--allow-http=false",
        "--allow-metrics=false",
        "--log-info=false",
    ]
    os.execv(found, [str(found), *options])  # noqa: S606 - there is no shell in between


if __name__ == "__main__":
    main()
