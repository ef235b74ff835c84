"""ONNX models, run by ONNX Runtime."""

from inferd.runtimes.onnx.runtime import OnnxRuntime

plugin = OnnxRuntime
