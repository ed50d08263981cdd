"""What an exception on the line means: a row of the outcome table, and what the system said. Pure."""

from __future__ import annotations

import http.client
import ssl

import urllib3.exceptions

from dropsafe.workers.classify import Trouble

TALKING = (OSError, http.client.HTTPException, ValueError)
"""What reading and writing raise; a ValueError comes of a socket that another thread has closed."""

_CERTIFICATE: dict[int, Trouble] = {
    2: Trouble.UNKNOWN_ISSUER,  # X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT
    9: Trouble.EXPIRED,  # CERT_NOT_YET_VALID
    10: Trouble.EXPIRED,  # CERT_HAS_EXPIRED
    18: Trouble.UNKNOWN_ISSUER,  # DEPTH_ZERO_SELF_SIGNED_CERT
    19: Trouble.UNKNOWN_ISSUER,  # SELF_SIGNED_CERT_IN_CHAIN
    20: Trouble.UNKNOWN_ISSUER,  # UNABLE_TO_GET_ISSUER_CERT_LOCALLY
    21: Trouble.UNKNOWN_ISSUER,  # UNABLE_TO_VERIFY_LEAF_SIGNATURE
    62: Trouble.WRONG_HOST,  # HOSTNAME_MISMATCH
    64: Trouble.WRONG_HOST,  # IP_ADDRESS_MISMATCH
}
"""By OpenSSL's verify codes (x509_vfy.h)."""


def of_connecting(error: Exception, *, through_proxy: bool) -> tuple[Trouble, str]:
    """What went wrong before the line was open. `through_proxy`: it is the proxy that we connect to."""
    cause = error.__cause__ if isinstance(error, urllib3.exceptions.NewConnectionError) and error.__cause__ else error
    words = _said(cause)
    if isinstance(error, urllib3.exceptions.NameResolutionError | urllib3.exceptions.LocationParseError | UnicodeError):
        return (Trouble.NO_PROXY if through_proxy else Trouble.NO_NAME), words
    if isinstance(error, ssl.SSLError):
        return of_tls(error)
    # A NewConnectionError is also a ConnectTimeoutError, whatever the cause.
    took_too_long = isinstance(error, urllib3.exceptions.ConnectTimeoutError | TimeoutError)
    if took_too_long and not isinstance(error, urllib3.exceptions.NewConnectionError):
        words = "connecting took too long"
    if isinstance(error, (urllib3.exceptions.HTTPError, *TALKING)):
        return (Trouble.NO_PROXY if through_proxy else Trouble.NO_CONNECTION), words
    raise error


def of_talking(error: Exception) -> tuple[Trouble, str]:
    """What went wrong on an open line."""
    if isinstance(error, TimeoutError):
        return Trouble.TIMED_OUT, ""
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError | ConnectionError):
        return Trouble.CUT, _said(error)
    if isinstance(error, ssl.SSLError):
        return of_tls(error)
    if isinstance(error, OSError):
        return Trouble.NO_CONNECTION, _said(error)
    return Trouble.NOT_HTTP, type(error).__name__


def of_tls(error: ssl.SSLError) -> tuple[Trouble, str]:
    """Why the two do not trust one another."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _CERTIFICATE.get(error.verify_code, Trouble.TLS), error.verify_message
    reason = error.reason or ""
    # The server's alerts; with TLS 1.3 they come after our side takes the connection for open.
    if "ALERT" in reason and ("CERTIFICATE" in reason or "UNKNOWN_CA" in reason):
        return Trouble.CLIENT_CERTIFICATE, reason.lower().replace("_", " ")
    return Trouble.TLS, _said(error)


def _said(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error)
