"""The REST API of TensorFlow Serving: predict, classify and regress, status and metadata."""

from inferd.protocols.tfserving.dialect import TfServing

plugin = TfServing()
