"""inferd: takes a trained model and makes it answer."""

__version__ = "0.1.0"
