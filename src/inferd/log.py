"""The log: one line an event on standard error, levels by the settings."""

import logging
import sys
import warnings

logger = logging.getLogger("inferd")


def start(level: str) -> None:
    """Send inferd's log to standard error from *level* up. Called by programs, never on import."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger.handlers[:] = [handler]
    logger.setLevel(level.upper())
    logger.propagate = False
    # numpy's word for a caller's number beyond FP32, which becomes an infinity.
    warnings.filterwarnings("ignore", "overflow encountered in cast", RuntimeWarning)
