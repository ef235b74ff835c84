"""``inferd reload``: have a running server read its settings and models again, without a gap."""

import argparse
import os
from typing import Any

EXAMPLES = """\
examples:
  inferd reload                              the server that runs, if it is one
  inferd reload --pid 4711                   the one whose process is 4711

New workers read inferd.toml and the models as they are now, and take over from the old ones, which
answer what they have begun: no request fails. SIGHUP does the same; this waits until it is done.
The addresses stay as they are: for others, start another server.

Exit codes: 0 the new workers answer; 1 they cannot, and the old ones go on.
"""


def add_to(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "reload",
        help="have a running server read its settings and models again",
        description="Have a running server read its settings and models again, and answer all"
        " requests meanwhile.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_pid(parser)
    parser.set_defaults(run=run)


def add_pid(parser: argparse.ArgumentParser) -> None:
    """Declare which server is meant."""
    parser.add_argument(
        "--pid", type=int, help="The server's process (default: the only one of this user)."
    )


def run(arguments: argparse.Namespace) -> int:
    """Ask, wait, and tell."""
    from inferd.server.control_socket import Reload, ask, find
    from inferd.terminal import Status

    place = find(arguments.pid, os.environ)
    with Status() as status:
        status("starting new workers")
        expect_done(ask(place, Reload()))
    print("New workers answer.")
    return 0


def expect_done(answer: Any) -> None:
    """Raise the reason why it was not done, if there is one."""
    from inferd.wire.messages import raised

    if answer.failure:
        raise raised(answer.failure)
