"""One question to a server, outside of any load, and what it answers."""

import http.client
from typing import Final
from urllib.parse import urlsplit

from bench.dialects import GRPC, Dialect, Question
from bench.messages import PREFIX

SECONDS = 60.0
RIGHT: Final = ("200", "OK")


class Unreachable(Exception):
    """Nobody listens, or who does speaks something else."""


def ask(dialect: Dialect, url: str, question: Question) -> tuple[str, bytes]:
    """The status, a number of HTTP or a name of gRPC, and the answer. Raises Unreachable."""
    return _call(url, question) if dialect in GRPC else _send(url, question)


def _send(url: str, question: Question) -> tuple[str, bytes]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=SECONDS)
    try:
        connection.request(question.method, parts.path, question.body, question.headers)
        response = connection.getresponse()
        return str(response.status), response.read()
    except (OSError, http.client.HTTPException) as error:
        raise Unreachable from error
    finally:
        connection.close()


def _call(url: str, question: Question) -> tuple[str, bytes]:
    """By gRPC's own client, with the message's bytes as they are."""
    import grpc

    parts = urlsplit(url)
    with grpc.insecure_channel(parts.netloc) as channel:
        method = channel.unary_unary(
            parts.path, request_serializer=None, response_deserializer=None
        )
        try:
            return "OK", method(question.body[PREFIX.size :], timeout=SECONDS)
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.UNAVAILABLE:
                raise Unreachable from error
            return error.code().name, error.details().encode()
