"""The one table from kinds of failure to HTTP status lines (RFC 9110, section 15)."""

from inferd.errors import Code

STATUS: dict[Code, tuple[int, bytes]] = {
    Code.INVALID_ARGUMENT: (400, b"Bad Request"),
    Code.FAILED_PRECONDITION: (400, b"Bad Request"),
    Code.NOT_FOUND: (404, b"Not Found"),
    Code.METHOD_NOT_ALLOWED: (405, b"Method Not Allowed"),
    Code.REQUEST_TIMEOUT: (408, b"Request Timeout"),
    Code.PAYLOAD_TOO_LARGE: (413, b"Content Too Large"),
    Code.UNSUPPORTED_MEDIA_TYPE: (415, b"Unsupported Media Type"),
    Code.UPGRADE_REQUIRED: (426, b"Upgrade Required"),
    Code.RESOURCE_EXHAUSTED: (429, b"Too Many Requests"),
    Code.CANCELLED: (
        499,
        b"Client Closed Request",
    ),  # no standard has one; this is what proxies log
    Code.INTERNAL: (500, b"Internal Server Error"),
    Code.UNKNOWN: (500, b"Internal Server Error"),
    Code.UNIMPLEMENTED: (501, b"Not Implemented"),
    Code.UNAVAILABLE: (503, b"Service Unavailable"),
    Code.DEADLINE_EXCEEDED: (504, b"Gateway Timeout"),
}
