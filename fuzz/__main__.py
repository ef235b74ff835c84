"""``python -m fuzz``: sends many made-up and mutated requests to a server of its own."""

import argparse
import os
import sys
from pathlib import Path

from fuzz.campaign import Campaign, Plan
from fuzz.dialects import DIALECTS
from fuzz.target import DOORS

ALL = "all"
EPILOG = """\
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
        choices=[*DIALECTS, ALL],
        default=ALL,
        help="whose requests are sent (default: %(default)s)",
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
        "--main-port", action="store_true", help="leave the ports of other servers closed"
    )
    return 0 if run(parser.parse_args()) else 1


def run(options: argparse.Namespace) -> bool:
    """Whether nothing failed."""
    dialects = tuple(DIALECTS) if options.dialect == ALL else (options.dialect,)
    plan = Plan(
        dialects,
        options.requests,
        options.processes,
        options.seed,
        options.corpus,
        options.kept,
        () if options.main_port else DOORS,
    )
    return Campaign(plan).run()


if __name__ == "__main__":
    sys.exit(main())
