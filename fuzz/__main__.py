"""``python -m fuzz``: sends many made-up and mutated requests to a server of its own."""

import argparse
import os
import sys
from pathlib import Path

from fuzz.campaign import Campaign, Plan
from fuzz.dialects import DIALECTS
from fuzz.frame_siege import FrameSiege
from fuzz.siege import Plan as SiegePlan
from fuzz.siege import Siege
from fuzz.target import DOORS

ALL = "all"
EPILOG = """\
Connections (--connections): a connection is some known questions in a row, as bytes: split at every
byte in turn, with bytes flipped, cut out, doubled and spliced, closed early, reset, never read,
read slowly. It is a failure when an unspoilt question is not answered as is known, when a
connection does not end within about ten seconds, when the health probe is slow, when memory grows
after the warm-up, or when a descriptor does not come back.

Frames (--frames): the same by HTTP/2. Calls of gRPC and ordinary requests are mixed in one
connection; frames are dropped, doubled, swapped and turned into others, their bytes spoilt. What
the server sends is read strictly, and what is not spoilt must be answered as ever.

Requests: every answer is parsed strictly. It is a failure when one is malformed, coded in a way
that was not offered, or 5xx where no contract prescribes that (the table is in fuzz/judge.py);
when the server hangs, ends, logs an error, closes a connection that it should keep, or answers
one of the known questions in between wrongly.

The bytes that made it happen are kept in .fuzz/; the same --seed sends the same again.
"""


def main() -> int:
    """Run a campaign; 1 where something failed."""
    parser = argparse.ArgumentParser(
        prog="fuzz",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--dialect",
        type=chosen,
        default=ALL,
        metavar="NAME,...",
        help=f"whose requests are sent, of {', '.join(DIALECTS)} (default: %(default)s)",
    )
    parser.add_argument(
        "--requests",
        "-n",
        type=int,
        default=1_000_000,
        help="how many of each dialect (default: %(default)s)",
    )
    parser.add_argument(
        "--processes",
        type=int,
        default=max(1, (os.cpu_count() or 2) - 1),
        help="processes that ask (default: %(default)s, one less than cores)",
    )
    parser.add_argument("--seed", type=int, default=1, help="repeats a run (default: %(default)s)")
    parser.add_argument(
        "--corpus",
        type=int,
        default=2000,
        help="requests of each dialect made by hypothesis (default: %(default)s)",
    )
    parser.add_argument(
        "--kept", type=Path, default=Path(".fuzz"), help="where failures go (default: .fuzz)"
    )
    parser.add_argument(
        "--connections", action="store_true", help="besiege it with whole connections instead"
    )
    parser.add_argument(
        "--frames", action="store_true", help="besiege it with whole connections of HTTP/2 instead"
    )
    parser.add_argument(
        "--minutes", type=float, default=10, help="how long that takes (default: %(default)s)"
    )
    parser.add_argument(
        "--at-once",
        type=int,
        default=64,
        help="connections of each process at once (default: %(default)s)",
    )
    parser.add_argument(
        "--main-port", action="store_true", help="leave the ports of other servers closed"
    )
    return 0 if run(parser.parse_args()) else 1


def chosen(text: str) -> tuple[str, ...]:
    """The names of dialects, separated by commas."""
    names = tuple(DIALECTS) if text == ALL else tuple(text.split(","))
    if unknown := sorted(set(names) - set(DIALECTS)):
        raise argparse.ArgumentTypeError(f"got {unknown}, expected some of {list(DIALECTS)}")
    return names


def run(options: argparse.Namespace) -> bool:
    """Whether nothing failed."""
    doors = () if options.main_port else DOORS
    if options.connections or options.frames:
        kind = FrameSiege if options.frames else Siege
        siege = kind(
            SiegePlan(
                options.dialect,
                options.minutes,
                options.processes,
                options.at_once,
                options.seed,
                options.kept,
                doors,
            )
        )
        return siege.run()
    return Campaign(
        Plan(
            options.dialect,
            options.requests,
            options.processes,
            options.seed,
            options.corpus,
            options.kept,
            doors,
        )
    ).run()


if __name__ == "__main__":
    sys.exit(main())
