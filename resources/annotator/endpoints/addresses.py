"""Addresses of endpoints, as a person gives them."""

from urllib.parse import SplitResult, urlsplit, urlunsplit

RAY_SERVE = "ray-serve"  # the scheme of an application's name, see `ray_serve.py`


def checked_url(url: str) -> str:
    """`url` as a base address that ends in `/v1`, or as the name of an application of Ray Serve.

    Raises `ValueError` for anything that is no plain address or name.
    """
    parts = urlsplit(url.strip())
    if parts.scheme not in ("http", "https", RAY_SERVE) or not parts.hostname:
        named = "an annotator URL" if {"@", "?"} & set(url) else f"annotator URL {url!r}"  # which may hold a key
        raise ValueError(f"{named} is no http:// or https:// address; give one such as http://host:8000/v1")
    if parts.username or parts.password or parts.query:
        raise ValueError(
            f"the annotator URL of {parts.hostname} holds a user, password or query, and addresses are stored with "
            "answers. Put the key into DATASHOP_ANNOTATOR_KEY"
        )
    if parts.scheme == RAY_SERVE:
        return _named(parts)
    return urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/") or "/v1", "", ""))


def _named(parts: SplitResult) -> str:
    name = parts.path.strip("/")
    if not name or "/" in name:
        raise ValueError(
            f"annotator URL {parts.geturl()!r} names no application; give {RAY_SERVE}://HOST:8265/annotator"
        )
    return urlunsplit((RAY_SERVE, parts.netloc, f"/{name}", "", ""))
