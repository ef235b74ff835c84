"""The log: one line an event on standard error, levels by the settings."""

import logging
import sys

logger = logging.getLogger("inferd")


def start(level: str) -> None:
    """Send inferd's log to standard error from *level* up. Called by programs, never on import."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger.handlers[:] = [handler]
    logger.setLevel(level.upper())
    logger.propagate = False
