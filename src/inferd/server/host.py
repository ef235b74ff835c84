"""A model's own process: `python -m inferd.server.host FD` opens one artifact and runs it, as it is
told over the socket that it inherited as file descriptor FD.

It ends when that socket does, which is when the server lets go of the model, or is gone itself.
"""

import atexit
import ctypes
import faulthandler
import os
import signal
import socket
import sys
from typing import NoReturn

from inferd import plugins
from inferd.errors import BadArtifact, InferdError, RunFailed
from inferd.runtimes.base import Runtime
from inferd.wire import frames
from inferd.wire.channel import Channel
from inferd.wire.frames import Broken, Buffer, Frame
from inferd.wire.messages import Open, Opened, Ran, Run, failed

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main() -> None:
    """The program."""
    settle()
    line = socket.socket(fileno=int(sys.argv[1]))
    line.set_inheritable(False)  # a model that starts processes of its own must not keep it open
    channel = Channel(line)
    try:
        serve(channel)
    except ConnectionError:
        leave()
    finally:
        channel.close()


def settle() -> None:
    """Leave it to the server when this process ends."""
    # A terminal's Ctrl-C, and a service manager's stop, reach every process at once; the server
    # still has requests to answer then.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if sys.platform == "linux":
        # A model that is computing, or hangs, does not read its socket. The signal comes when the
        # thread that started this process ends, so that thread has to stay.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    faulthandler.enable()  # a crash in a library's own code says where


def leave() -> NoReturn:
    """End now: the server waits for it, and taking down all modules of a large library takes up to
    a second."""
    atexit._run_exitfuncs()
    sys.stdout.flush()
    os._exit(0)


def serve(channel: Channel) -> None:
    """Open what is asked for and run it as often as is asked. Raises ConnectionError at the end."""
    runtime, answer = opened(channel.receive())
    channel.send(answer)
    if runtime is None:
        return
    try:
        while True:
            channel.send(ran(runtime, channel.receive()))
    finally:
        runtime.close()


def opened(frame: Frame) -> tuple[Runtime | None, list[Buffer]]:
    """The runtime that *frame* asks for, and what is answered; None where it cannot be opened."""
    order = frame.message
    if not isinstance(order, Open):
        raise Broken("the first frame opens an artifact")
    try:
        runtime: Runtime = plugins.load("runtimes", order.runtime).open(order.artifact)
        return runtime, frames.encode(described(runtime))
    except InferdError as error:
        return None, frames.encode(failed(error))
    except Exception as error:  # noqa: BLE001 - loading runs code of the artifact's libraries
        text = f"{order.artifact.path} cannot be loaded: {type(error).__name__}: {error}"
        return None, frames.encode(failed(BadArtifact(text)))


def described(runtime: Runtime) -> Opened:
    """What the server has to know of *runtime*."""
    if runtime.streams:
        raise BadArtifact(
            f"a model of {runtime.name}, which answers in parts, cannot run in its own process",
            cure="Set native_processes to 0.",
        )
    return Opened(
        runtime.name,
        runtime.signature,
        dict(runtime.example()),
        runtime.feature_names(),
        runtime.classes(),
    )


def ran(runtime: Runtime, frame: Frame) -> list[Buffer]:
    """What is answered to *frame*."""
    order = frame.message
    if not isinstance(order, Run):
        raise Broken("an artifact is opened once, and then run")
    try:
        return frames.encode(Ran(), runtime.run(frame.tensors, order.outputs))
    except MemoryError:
        return frames.encode(
            failed(RunFailed("the model ran out of memory", cure="Send fewer rows at once."))
        )
    except Exception as error:  # noqa: BLE001 - a model may raise anything; the server is told
        return frames.encode(failed(error))


if __name__ == "__main__":
    main()
