"""``python -m soak``: a server of its own under mixed load, changed and hurt all the while."""

import argparse
import sys

from soak.run import Plan, Soak

EPILOG = """\
Clients ask over REST, pipelined, on new connections, and by gRPC with Triton's client; every answer
is held against the model's own. Meanwhile models are swapped, loaded and unloaded and their
processes killed, and, in the second half, the server is reloaded and its workers are killed and
stopped. It is a fault when a request fails that no kill explains, when an answer is another model's
or one that was replaced before, when the log holds an error, when memory grows while no worker is
replaced, or when descriptors do not come back.

Exit codes: 0 nothing failed; 1 something did.
"""


def main() -> int:
    """Soak once; 1 where something failed."""
    parser = argparse.ArgumentParser(
        prog="soak",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--minutes", type=float, default=15, help="how long (default: %(default)s)")
    parser.add_argument(
        "--workers", type=int, default=2, help="the server's (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=1, help="repeats a plan (default: %(default)s)")
    options = parser.parse_args()
    return 0 if Soak(Plan(options.minutes, options.workers, options.seed)).run() else 1


if __name__ == "__main__":
    sys.exit(main())
