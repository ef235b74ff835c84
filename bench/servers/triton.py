"""Triton's server, asked by one protocol alone; ``bench.triton`` has fetched it.

python -m bench.servers.triton --grpc PORT
python -m bench.servers.triton --http PORT --models FOLDER
"""

import argparse
import os
import sysconfig
from pathlib import Path

from bench import triton

WORK = Path(__file__).resolve().parents[2] / ".bench"


def main() -> None:
    parser = argparse.ArgumentParser(description="Triton's own server.")
    door = parser.add_mutually_exclusive_group(required=True)
    door.add_argument("--grpc", metavar="PORT")
    door.add_argument("--http", metavar="PORT")
    parser.add_argument("--models", type=Path, default=WORK / "no-models")
    options = parser.parse_args()
    options.models.mkdir(exist_ok=True)
    found = triton.program(WORK)
    argv = [
        str(found),
        f"--model-repository={options.models}",
        f"--backend-directory={found.parents[1] / 'backends'}",
        *_doors(options),
        "--allow-metrics=false",
        "--log-info=false",
    ]
    os.execve(found, argv, _environment())  # noqa: S606 - there is no shell in between


def _environment() -> dict[str, str]:
    """Where the python backend finds the interpreter's library, and its environment: by PATH."""
    libraries = sysconfig.get_config_var("LIBDIR") or ""
    folder = triton.PACKAGES.python(WORK).parent
    return os.environ | {
        "LD_LIBRARY_PATH": str(libraries),
        "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
    }


def _doors(options: argparse.Namespace) -> list[str]:
    if options.grpc:
        return ["--allow-http=false", "--grpc-address=127.0.0.1", f"--grpc-port={options.grpc}"]
    # One thread for HTTP, as there is one core.
    quick = ["--http-thread-count=1", "--allow-grpc=false"]
    return [*quick, "--http-address=127.0.0.1", f"--http-port={options.http}"]


if __name__ == "__main__":
    main()
