"""What an ONNX file may say of itself: the keys of its custom metadata."""

EXAMPLE = "inferd.example"
"""A JSON list: the features of one row that the model accepts."""
FEATURES = "inferd.features"
"""A JSON list: the names of the columns of the only input."""
VERDICT = "inferd.verdict"
"""What the file was compiled from and how it was found to agree with that; see ``verdict.py``."""
