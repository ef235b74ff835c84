"""A model in a Python file of the user's own."""

from inferd.runtimes.python.runtime import PythonRuntime

plugin = PythonRuntime
