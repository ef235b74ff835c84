"""The one table from kinds of failure to gRPC's status codes
(https://grpc.github.io/grpc/core/md_doc_statuscodes.html)."""

from inferd.errors import Code

OK = 0

STATUS: dict[Code, int] = {
    Code.CANCELLED: 1,
    Code.UNKNOWN: 2,
    Code.INVALID_ARGUMENT: 3,
    Code.UNSUPPORTED_MEDIA_TYPE: 3,
    Code.UPGRADE_REQUIRED: 3,
    Code.DEADLINE_EXCEEDED: 4,
    Code.REQUEST_TIMEOUT: 4,
    Code.NOT_FOUND: 5,
    Code.PAYLOAD_TOO_LARGE: 8,
    Code.RESOURCE_EXHAUSTED: 8,
    Code.FAILED_PRECONDITION: 9,
    Code.METHOD_NOT_ALLOWED: 12,
    Code.UNIMPLEMENTED: 12,
    Code.INTERNAL: 13,
    Code.UNAVAILABLE: 14,
}
