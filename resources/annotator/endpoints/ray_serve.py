"""An annotator by the name of its application on a Ray cluster: `ray-serve://HOST:8265/annotator`.

HOST:8265 is the cluster's dashboard, which takes the orders of `serve deploy` and knows on which nodes and port the
application is reached. Dashboards listen on loopback: `ray dashboard FILE` brings one here (docs/clusters.md).
"""

import json
import time
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, build_opener

from resources.annotator.endpoints.addresses import RAY_SERVE

EVERYWHERE = "0.0.0.0"  # noqa: S104 - what `infra.serving.render` writes: a cluster's network is private
SECONDS = 30.0  # for a dashboard to answer
LOOKS = 1.0  # seconds between looks at an application that is being deployed
COMING = ("NOT_STARTED", "DEPLOYING")


def located(urls: Iterable[str], patience: float) -> Iterator[str]:
    """Addresses in place of names; addresses as they are.

    Waits `patience` seconds for an application that is being deployed: until its first replicas have loaded, its
    addresses answer 404. Raises `ValueError` for a name that nothing answers to.
    """
    for url in urls:
        if urlsplit(url).scheme == RAY_SERVE:
            yield from _proxies(url, patience)
        else:
            yield url


def _proxies(url: str, patience: float) -> Iterator[str]:
    """One address for each node that takes requests; the only one where they are taken at one address alone."""
    name, serving = urlsplit(url).path.strip("/"), _deployed(url, patience)
    applications = serving["applications"]
    host, port = serving["http_options"]["host"], serving["http_options"]["port"]
    hosts = [proxy["node_ip"] for proxy in serving["proxies"].values()] if host == EVERYWHERE else [host]
    for one in hosts:
        yield f"http://{one}:{port}{_prefix(applications[name])}/v1"


def _deployed(url: str, patience: float) -> dict[str, Any]:
    """What the dashboard says once the application is there."""
    name, end = urlsplit(url).path.strip("/"), time.monotonic() + patience
    while (application := _application(name, serving := _serving(url), url))["status"] in COMING:
        if time.monotonic() > end:
            raise ValueError(
                f"{url}: still being deployed after {patience:.0f} s ({application['message'] or 'no message'}); see "
                "`serve status`, or wait longer with DATASHOP_ANNOTATOR_PATIENCE"
            )
        time.sleep(LOOKS)
    if application["status"] == "DEPLOY_FAILED":
        raise ValueError(f"{url}: could not be deployed: {application['message']}")
    return serving


def _application(name: str, serving: dict[str, Any], url: str) -> dict[str, Any]:
    applications: dict[str, dict[str, Any]] = serving["applications"]
    if name not in applications:
        raise ValueError(
            f"{url}: no application {name!r} is deployed there, but {sorted(applications)}; `serve deploy`"
        )
    return applications[name]


def _prefix(application: dict[str, Any]) -> str:
    """Below which the application answers; while it is being built, as its file says."""
    told = application["route_prefix"] or (application["deployed_app_config"] or {}).get("route_prefix")
    return (told or "").rstrip("/")


def _serving(url: str) -> dict[str, Any]:
    """What the dashboard says of Ray Serve (`ray.serve.schema.ServeInstanceDetails`)."""
    address = f"http://{urlsplit(url).netloc}/api/serve/applications/"
    try:
        with build_opener(ProxyHandler({})).open(address, timeout=SECONDS) as answer:
            body: dict[str, Any] = json.load(answer)
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{url}: no dashboard of a Ray cluster answers there ({error}); `ray dashboard FILE` brings it to 127.0.0.1"
        ) from None
    return body
