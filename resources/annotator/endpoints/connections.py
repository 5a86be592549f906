"""How a server is reached, through which proxy and by which certificates, and what a failure on the way stands for.

Proxies are those of the environment (HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY), certificates those of the system or
of SSL_CERT_FILE. What will not change by itself is a `BlockedEndpointError` at once: a certificate that is not trusted,
a proxy that wants a password.
"""

import ipaddress
import os
from urllib.parse import urlsplit
from urllib.request import getproxies_environment, proxy_bypass

import aiohttp

from resources.annotator.endpoints.errors import (
    BlockedEndpointError,
    ProxyUnreachableError,
    RequestError,
    RetryableError,
    UnreachableError,
)
from resources.annotator.endpoints.statuses import FIXES

PROXY_REFUSALS = (403, 405, 407)  # with which a proxy refuses for good
# of OpenSSL's X509_V_ERR_*
EXPIRED, OTHER_NAME, OTHER_IP = 10, 62, 64
OTHER_FIX = "put the name that the certificate holds into DATASHOP_ANNOTATOR_URLS"
CERTIFICATE_FIXES = {
    EXPIRED: "renew the certificate on the server, or set this machine's clock",
    OTHER_NAME: OTHER_FIX,
    OTHER_IP: OTHER_FIX,
}
UNTRUSTED_FIX = (
    "put the certificate of its authority (PEM; a self-signed one itself) into a file, and name it in SSL_CERT_FILE"
)


def proxy_for(address: str) -> str | None:
    """The proxy through which an address is reached, from the environment; None for a direct connection.

    This machine's own addresses are never reached through one. In NO_PROXY stand names, ends of names, and networks
    such as 10.0.0.0/8. Raises `BlockedEndpointError` for a proxy that does not speak HTTP.
    """
    parts = urlsplit(address)
    host = parts.hostname or ""
    proxies = getproxies_environment()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy or _is_loopback(host) or proxy_bypass(parts.netloc.rpartition("@")[2]):
        return None
    if any(_within(host, network) for network in proxies.get("no", "").split(",")):
        return None
    if "://" not in proxy:
        proxy = f"http://{proxy}"
    if urlsplit(proxy).scheme not in ("http", "https"):
        raise BlockedEndpointError(
            f"the proxy of the environment is {_bare(proxy)}, and only http:// and https:// proxies can be used; name "
            f"one in HTTPS_PROXY, or put {host} into NO_PROXY"
        )
    return proxy


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _within(host: str, network: str) -> bool:
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(network.strip(), strict=False)
    except ValueError:
        return False


def _bare(proxy: str) -> str:
    """A proxy without the user and password that may stand in it."""
    parts = urlsplit(proxy)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def via(proxy: str | None) -> str:
    return f" through the proxy {_bare(proxy)}" if proxy else ""


def error_of_connection(error: Exception, said: str, proxy: str | None) -> RequestError:
    """What a connection that failed stands for; `said` is the error's text without the key."""
    match error:
        case aiohttp.ClientSSLError():
            return BlockedEndpointError(_untrusted(error, proxy))
        case aiohttp.ClientHttpProxyError() | aiohttp.ClientProxyConnectionError():
            return _error_of_proxy(error, proxy or "")
        case aiohttp.InvalidURL() | aiohttp.ClientConnectorDNSError():
            return UnreachableError(f"address not found: {said}")
        case aiohttp.ClientConnectorError():
            why = error.os_error.strerror or type(error.os_error).__name__
            return UnreachableError(f"no connection to {error.host}:{error.port}: {why}")
    return RetryableError(f"connection broken: {type(error).__name__} {said}"[:200])


def _error_of_proxy(
    error: aiohttp.ClientHttpProxyError | aiohttp.ClientProxyConnectionError, proxy: str
) -> RequestError:
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        why = error.os_error.strerror or "no connection"
        return ProxyUnreachableError(
            f"nothing answers at the proxy {_bare(proxy)} ({why}); correct HTTPS_PROXY, or put the host into NO_PROXY"
        )
    reason = f"the proxy {_bare(proxy)} answers {error.status} {error.message}"
    if error.status in PROXY_REFUSALS:
        return BlockedEndpointError(f"{reason}; {FIXES[407]}")
    return ProxyUnreachableError(f"{reason}; it does not reach the server")


def _untrusted(error: aiohttp.ClientSSLError, proxy: str | None) -> str:
    """Why no TLS connection comes about, and what to do."""
    if not isinstance(error, aiohttp.ClientConnectorCertificateError):
        why = getattr(error.os_error, "reason", None) or error.os_error
        return f"no TLS connection{via(proxy)} ({why}); if the server speaks plain HTTP, give http:// in its address"
    certificate = error.certificate_error
    code = getattr(certificate, "verify_code", 0)
    why = getattr(certificate, "verify_message", "") or certificate
    fix, named = CERTIFICATE_FIXES.get(code), os.environ.get("SSL_CERT_FILE")
    if fix is None:
        fix = UNTRUSTED_FIX
        if named:
            there = "does not hold it" if os.path.isfile(named) else "is no file"  # noqa: PTH113 - it is not opened
            fix += f", which now names {named}, and that {there}"
    return f"its certificate is not trusted: {why}; {fix}"
