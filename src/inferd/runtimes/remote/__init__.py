"""A model that another runtime runs, in processes of its own, so that it never keeps this one's
interpreter."""

from inferd.runtimes.remote.runtime import RemoteRuntime

plugin = RemoteRuntime
