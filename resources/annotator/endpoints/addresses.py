"""Addresses of endpoints, as a person gives them: a URL, or the name of an application on a Ray cluster.

A name is `ray-serve://HOST:8265/annotator`. HOST:8265 is the cluster's dashboard, to which `serve deploy` speaks and
which knows on which nodes and port the application is reached. Dashboards listen on loopback: `ray dashboard FILE`
forwards one to this machine (docs/clusters.md).
"""

import json
import time
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from urllib.request import ProxyHandler, build_opener

RAY_SERVE = "ray-serve"  # the scheme of an application's name
EVERY_INTERFACE = "0.0.0.0"  # noqa: S104 - what `infra.serving.render` writes: a cluster's network is private
DASHBOARD_TIMEOUT = 30.0  # seconds
POLL_INTERVAL = 1.0  # seconds between looks at an application that is being deployed
DEPLOYING = ("NOT_STARTED", "DEPLOYING")
# what servers have below a base address: documentation shows these addresses in full, and they are pasted
BELOW = ("/chat/completions", "/completions", "/responses", "/embeddings", "/messages", "/models", "/chat")


def checked_url(url: str) -> str:
    """`url` as a base address that ends in `/v1`, or as the name of an application of Ray Serve.

    Raises `ValueError` for anything that is no plain address or name.
    """
    named = "an annotator URL" if {"@", "?"} & set(url) else f"annotator URL {url!r}"  # which may hold a key
    try:
        parts = urlsplit(url.strip())
        hostname, _ = parts.hostname, parts.port
    except ValueError as error:  # whose words may repeat what the address holds
        why = "" if {"@", "?"} & set(url) else f" ({error})"
        raise ValueError(
            f"{named} is no address{why}; correct DATASHOP_ANNOTATOR_URLS: give one such as http://host:8000/v1, an "
            "IPv6 address in brackets: http://[::1]:8000/v1"
        ) from None
    if parts.scheme not in ("http", "https", RAY_SERVE) or not hostname:
        raise ValueError(f"{named} is no http:// or https:// address; give one such as http://host:8000/v1")
    if parts.username or parts.password or parts.query:
        raise ValueError(
            f"the annotator URL of {parts.hostname} holds a user, password or query, and addresses are stored with "
            "answers. Put the key into DATASHOP_ANNOTATOR_KEY"
        )
    if parts.scheme != RAY_SERVE:
        path = parts.path.rstrip("/")
        if below := next((end for end in BELOW if path.endswith(end)), ""):
            base = urlunsplit((parts.scheme, parts.netloc, path.removesuffix(below) or "/v1", "", ""))
            raise ValueError(
                f"annotator URL {url.strip()!r} ends in {below}, which is added to what is given; give {base}"
            )
        return urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/") or "/v1", "", ""))
    name = parts.path.strip("/")
    if not name or "/" in name:
        raise ValueError(
            f"annotator URL {parts.geturl()!r} names no application; give {RAY_SERVE}://HOST:8265/annotator"
        )
    return urlunsplit((RAY_SERVE, parts.netloc, f"/{name}", "", ""))


def locate_endpoints(urls: Iterable[str], patience: float) -> Iterator[str]:
    """Addresses in place of names of applications; addresses as they are.

    Waits `patience` seconds for an application that is being deployed: until its first replicas have loaded, its
    addresses answer 404. Raises `ValueError` for a name that nothing answers to.
    """
    for url in urls:
        if urlsplit(url).scheme == RAY_SERVE:
            yield from _addresses_of_application(url, patience)
        else:
            yield url


def _addresses_of_application(url: str, patience: float) -> Iterator[str]:
    """One address for each node that takes requests; the only one where they are taken at one address alone."""
    serve, application = _deployed(url, patience)
    host, port = serve["http_options"]["host"], serve["http_options"]["port"]
    nodes = [proxy["node_ip"] for proxy in serve["proxies"].values()] if host == EVERY_INTERFACE else [host]
    # the prefix is null while the application is being built, and then as its file says
    prefix = application["route_prefix"] or (application["deployed_app_config"] or {}).get("route_prefix")
    for node in nodes:
        yield f"http://{node}:{port}{(prefix or '').rstrip('/')}/v1"


def _deployed(url: str, patience: float) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the dashboard says of Ray Serve and of the application, once that is deployed."""
    name, end = urlsplit(url).path.strip("/"), time.monotonic() + patience
    while True:
        serve = _serve_details(url)
        applications: dict[str, dict[str, Any]] = serve["applications"]
        if name not in applications:
            raise ValueError(
                f"{url}: no application {name!r} is deployed there, but {sorted(applications)}; `serve deploy`"
            )
        application = applications[name]
        if application["status"] == "DEPLOY_FAILED":
            raise ValueError(f"{url}: could not be deployed: {application['message']}")
        if application["status"] not in DEPLOYING:
            return serve, application
        if time.monotonic() > end:
            raise ValueError(
                f"{url}: still being deployed after {patience:.0f} s ({application['message'] or 'no message'}); see "
                "`serve status`, or wait longer with DATASHOP_ANNOTATOR_PATIENCE"
            )
        time.sleep(POLL_INTERVAL)


def _serve_details(url: str) -> dict[str, Any]:
    """`ray.serve.schema.ServeInstanceDetails`, as the dashboard gives it."""
    address = f"http://{urlsplit(url).netloc}/api/serve/applications/"
    try:
        with build_opener(ProxyHandler({})).open(address, timeout=DASHBOARD_TIMEOUT) as answer:
            details: dict[str, Any] = json.load(answer)
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{url}: no dashboard of a Ray cluster answers there ({error}); `ray dashboard FILE` brings it to 127.0.0.1"
        ) from None
    return details
