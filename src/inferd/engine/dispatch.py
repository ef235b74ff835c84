"""Sends a request to the version that decoded it. The innermost stage that all requests share."""

from inferd.calls import InferRequest, Reply
from inferd.errors import NotReady


def dispatch(request: InferRequest, reply: Reply) -> None:
    """Hold the request's version for it, and let that version's scheduler answer. A Handler."""
    handle = request.handle
    try:
        handle.acquire()
    except NotReady as error:
        reply.fail(error)
    else:
        handle.infer(request, reply)
