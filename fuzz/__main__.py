"""``python -m fuzz``: sends many made-up and mutated requests to a server that it starts itself."""

import argparse
import os
import sys
from pathlib import Path

from fuzz.campaign import Campaign, Plan

EPILOG = """\
Every answer is parsed strictly. It is a failure when one is malformed or 5xx, when the server
hangs, ends, logs an error, closes a connection that it should keep, or answers one of the known
questions in between wrongly. The bytes that made it happen are kept in .fuzz/; the same --seed
sends the same requests again.
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
        "--requests", "-n", type=int, default=1_000_000, help="how many (default: %(default)s)"
    )
    parser.add_argument(
        "--processes",
        type=int,
        default=max(1, (os.cpu_count() or 2) - 1),
        help="processes that ask (default: %(default)s, one less than cores)",
    )
    parser.add_argument("--seed", type=int, default=1, help="repeats a run (default: %(default)s)")
    parser.add_argument(
        "--corpus", type=int, default=2000, help="made by hypothesis (default: %(default)s)"
    )
    parser.add_argument(
        "--kept", type=Path, default=Path(".fuzz"), help="where failures go (default: .fuzz)"
    )
    plan = Plan(**vars(parser.parse_args()))
    return 0 if Campaign(plan).run() else 1


if __name__ == "__main__":
    sys.exit(main())
