"""Made-up and mutated requests against a running server: see ``python -m fuzz --help``."""
