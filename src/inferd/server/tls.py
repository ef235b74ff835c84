"""The server's certificate: the TLS context that it is served with, or what is wrong with it."""

import ipaddress
import ssl
from pathlib import Path
from typing import Any, NamedTuple

from inferd.errors import ConfigError

PROTOCOLS = ("h2", "http/1.1")
"""What is spoken behind TLS, by its names in ALPN (RFC 7301)."""

EXPIRED, NOT_YET_VALID = 10, 9  # X509_V_ERR_CERT_HAS_EXPIRED and _NOT_YET_VALID: x509_vfy.h


class Certificate(NamedTuple):
    """A certificate that a server can use."""

    context: ssl.SSLContext
    file: Path
    names: tuple[str, ...]
    """Hosts that it names, addresses among them; none where that could not be found out."""
    warnings: tuple[str, ...]
    """Why clients may refuse it."""


def load(certificate: str, key: str) -> Certificate | None:
    """The certificate in the file *certificate* with its *key*, by default from the same file; None
    where neither is set.

    Raises ConfigError that says which file is at fault, and why.
    """
    if not certificate:
        if key:
            raise ConfigError(
                "a private key alone is no TLS", got=f"--tls-key {key}", cure="Add --tls-cert FILE."
            )
        return None
    file, key_file = Path(certificate), Path(key or certificate)
    _expect(file, "--tls-cert", b"CERTIFICATE-----", "a certificate")
    _expect(key_file, "--tls-key", b"PRIVATE KEY-----", "a private key")
    client = _client(file)
    context = _server(file, key_file)
    names, warnings = _rehearse(context, client, file)
    return Certificate(context, file, names, warnings)


def _expect(file: Path, flag: str, mark: bytes, what: str) -> None:
    """Raise ConfigError where *file* cannot be read or has no *mark* in it."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"cannot read {file}: {error.strerror}", cure=f"{flag} names it."
        ) from None
    if mark not in content:
        raise ConfigError(
            f"{file} holds no {what.split(maxsplit=1)[1]} in PEM",
            expected=f"{what} between lines such as '-----BEGIN {mark.decode()}'",
            cure=f"{flag} names the file that holds it.",
        )


def _client(file: Path) -> ssl.SSLContext:
    """A client that trusts the certificate in *file*, whoever issued it."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        client.load_verify_locations(file)
    except ssl.SSLError as error:
        raise _unusable(file, error) from None
    return client


def _server(file: Path, key_file: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Renegotiation lets a client make the server compute for nothing; TLS 1.3 has none.
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(PROTOCOLS)
    try:
        context.load_cert_chain(file, key_file, _refuse_password)
    except _EncryptedError:
        raise ConfigError(
            f"the private key in {key_file} is encrypted, and a server has nobody to ask for its"
            " password",
            cure=f"Write it without: openssl pkey -in {key_file} -out FILE",
        ) from None
    except ssl.SSLError as error:
        if error.reason in ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH"):
            raise ConfigError(
                f"the private key in {key_file} does not belong to the certificate in {file}",
                cure="The server's own certificate must be the first in its file.",
            ) from None
        raise _unusable(key_file, error) from None
    return context


class _EncryptedError(Exception):
    """A key was about to be decrypted."""


def _refuse_password() -> str:
    raise _EncryptedError


def _rehearse(
    context: ssl.SSLContext, client: ssl.SSLContext, file: Path
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Shake hands in memory, as a client will: the names in the certificate, and what the client
    holds against it. Public functions of Python tell neither of a file."""
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    asks = client.wrap_bio(back, there)
    sides = [asks, context.wrap_bio(there, back, server_side=True)]
    try:
        while sides:
            for side in tuple(sides):
                try:
                    side.do_handshake()
                except ssl.SSLWantReadError:
                    continue
                sides.remove(side)
    except ssl.SSLCertVerificationError as error:
        return (), (_complaint(file, error),)
    except ssl.SSLError as error:
        raise _unusable(file, error) from None
    found: Any = (asks.getpeercert() or {}).get("subjectAltName", ())
    names = [value for kind, value in found if kind == "DNS"]
    # OpenSSL writes IPv6 addresses at full length.
    names += [str(ipaddress.ip_address(value.strip())) for kind, value in found if "IP" in kind]
    return tuple(names), ()


def _complaint(file: Path, error: ssl.SSLCertVerificationError) -> str:
    if error.verify_code == EXPIRED:
        return f"the certificate in {file} has expired: clients will refuse it"
    if error.verify_code == NOT_YET_VALID:
        return f"the certificate in {file} is not valid yet: clients will refuse it"
    return f"clients may refuse the certificate in {file}: {error.verify_message}"


def _unusable(file: Path, error: ssl.SSLError) -> ConfigError:
    reason = (error.reason or str(error)).replace("_", " ").lower()
    return ConfigError(f"{file} cannot be used for TLS: {reason}")


def name_for(host: str, certificate: Certificate) -> str:
    """By which name to ask a server that listens on the address *host*, so that its certificate
    fits."""
    names = certificate.names
    if not names or host in names:
        return host
    if LOCALHOST in names and _is_here(host):
        return LOCALHOST
    hosts = sorted(names, key=_is_address)
    return hosts[0].replace("*", "inferd")


LOCALHOST = "localhost"


def _is_here(host: str) -> bool:
    address = ipaddress.ip_address(host)
    return address.is_loopback or address.is_unspecified


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
