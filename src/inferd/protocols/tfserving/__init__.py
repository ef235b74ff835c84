"""TensorFlow Serving, REST and gRPC: predict, classify and regress, status and metadata."""

from inferd.protocols.tfserving.dialect import TfServing

plugin = TfServing()
