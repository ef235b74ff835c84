"""Sends a request to the version that decoded it. The innermost stage that all requests share."""

from inferd.calls import InferRequest, Reply
from inferd.errors import NotReady


def dispatch(request: InferRequest, reply: Reply) -> None:
    """Hold the request's version for it, and let that version's scheduler answer. A Handler."""
    handle = request.handle
    try:
        handle.acquire()
    except NotReady as error:
        successor = handle.successor
        # Decoding a large body takes a while, in which its model may have been loaded again.
        if successor is None or successor.signature != handle.signature:
            reply.fail(error)
        else:
            request.handle = successor
            dispatch(request, reply)
    else:
        handle.infer(request, reply)
