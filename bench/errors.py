"""The one error that ends a benchmark with a sentence instead of a stack trace."""


class BenchError(Exception):
    """What went wrong and what to do about it, for the person at the terminal."""
