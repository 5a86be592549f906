"""Addresses of endpoints, as a person gives them."""

from urllib.parse import urlsplit, urlunsplit


def checked_url(url: str) -> str:
    """`url` as a base address that ends in `/v1`. Raises `ValueError` for anything that is no plain http(s) address."""
    parts = urlsplit(url.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(
            f"annotator URL {url!r} is no http:// or https:// address; give one such as http://host:8000/v1"
        )
    if parts.username or parts.password or parts.query:
        raise ValueError(
            f"the annotator URL of {parts.hostname} holds a user, password or query, and addresses are stored with "
            "answers. Put the key into DATASHOP_ANNOTATOR_KEY"
        )
    return urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/") or "/v1", "", ""))
