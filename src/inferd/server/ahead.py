"""Compiles a model before a busy worker loads it, in a process of its own:
``python -m inferd.server.ahead``.

To read a large model keeps an interpreter for seconds, and so would keep whoever asks a worker's
other models waiting. What this leaves in the cache, the workers find there.
"""

import os
import subprocess
import sys
from pathlib import Path

import msgspec

from inferd.children import ending, environment
from inferd.errors import LoadError
from inferd.models import loader
from inferd.server.host import settle
from inferd.spec import ModelSpec
from inferd.wire.messages import Failed, failed, raised

PROGRAM = "inferd.server.ahead"

_encoder = msgspec.json.Encoder(enc_hook=str)  # of a path
_specs = msgspec.json.Decoder(ModelSpec, dec_hook=lambda _, text: Path(text))
_failures = msgspec.json.Decoder(Failed)


def compile_ahead(spec: ModelSpec) -> None:
    """Have *spec* compiled, if loading it would do that.

    Blocks, in a thread that stays until it is done. Raises LoadError: the one that loading would
    raise, or one that tells how the process ended.
    """
    if not loader.would_compile(spec):
        return
    done = subprocess.run(  # noqa: S603 - this interpreter, and a module of this package
        [sys.executable, "-P", "-m", PROGRAM],
        input=_encoder.encode(spec),
        stdout=subprocess.PIPE,
        start_new_session=True,
        env=environment(os.environ, sys.path),
        check=False,
    )
    if done.returncode:
        raise LoadError(
            f"the process that was to compile {spec.artifact.path} {ending(done.returncode)}",
            cure="Is there enough memory?",
        )
    if done.stdout:
        raise raised(_failures.decode(done.stdout))


def main() -> None:
    """The program: a spec comes in, and nothing goes out, or why it could not be compiled."""
    settle()
    answer = os.dup(1)
    os.dup2(2, 1)  # a model may print
    spec = _specs.decode(sys.stdin.buffer.read())
    try:
        loader.compile_ahead(spec)
    except Exception as error:  # noqa: BLE001 - a model may refuse to be read in any way
        os.write(answer, _encoder.encode(failed(error)))


if __name__ == "__main__":
    main()
