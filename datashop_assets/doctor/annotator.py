"""Is the annotator there? Nothing is asked of a model."""

import http.client
from collections.abc import Sequence
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

from datashop_assets.doctor.environment import WEIGHTS
from datashop_assets.doctor.finding import Finding
from datashop_assets.documents.packages import data_file
from datashop_assets.orchestration import profiles
from datashop_assets.settings import read_settings
from resources.annotator.endpoints.addresses import locate_endpoints
from resources.annotator.ray_serve import RayServeVLLM
from resources.annotator.resource import AnnotatorEndpoints
from resources.annotator.vllm.server import VLLMServer

PATIENCE = 10.0  # seconds for an address to answer


class Staying(HTTPRedirectHandler):
    """Follows no redirection: the key goes to the addresses that were named, and nowhere else."""

    def redirect_request(self, *_: object) -> None:
        return None


def annotator() -> Finding:
    """What the environment says, the server's Python, and whether the addresses list their models."""
    try:
        resource = profiles.annotator(read_settings())
    except ValueError as error:
        return Finding("annotator", "bad", str(error), "correct the variable, or remove it for the embedded annotator")
    match resource:
        case VLLMServer():
            return _server(Path(resource.python))
        case AnnotatorEndpoints():
            return _endpoints(resource.addresses, resource.bearer)
        case RayServeVLLM():
            return _ray_serve(resource)
        case _:
            return _embedded()


def _embedded() -> Finding:
    try:
        return Finding("annotator", "good", f"embedded, {data_file(WEIGHTS).name}")
    except FileNotFoundError as error:
        return Finding("annotator", "bad", str(error), "run `datashop data`, or set DATASHOP_ANNOTATOR")


def _server(python: Path) -> Finding:
    if python.exists():
        return Finding("annotator", "good", f"server: {python}")
    mend = "run `make vllm`, or name the Python of vLLM's environment in DATASHOP_VLLM_PYTHON"
    return Finding("annotator", "bad", f"no vLLM at {python}", mend)


def _ray_serve(resource: RayServeVLLM) -> Finding:
    try:
        applications = resource.applications()
    except ValueError as error:
        return Finding("annotator", "bad", str(error), "start the cluster, or correct DATASHOP_SERVE_DASHBOARD")
    there = applications.get(resource.application)
    state = "will be deployed with the first question" if there is None else str(there["status"])
    return Finding("annotator", "good", f"ray-serve: {resource.application} at {resource.dashboard}, {state}")


def _endpoints(addresses: Sequence[str], key: str) -> Finding:
    """An address that does not answer is no fault while another does: runs go on with those that are there."""
    mend = "start them, or correct DATASHOP_ANNOTATOR_URLS or the key"
    try:
        urls = tuple(locate_endpoints(addresses, patience=0))
    except ValueError as error:
        return Finding("annotator", "bad", str(error), mend)
    silent = {url: why for url in urls if (why := _silent(url, key))}
    if not silent:
        return Finding("annotator", "good", f"endpoints: {', '.join(urls)}")
    says = f"{len(silent)} of {len(urls)} endpoints: {'; '.join(f'{url}: {why}' for url, why in silent.items())}"
    return Finding("annotator", "bad" if len(silent) == len(urls) else "note", says, mend)


def _silent(url: str, key: str) -> str:
    """Why an address does not list its models; empty where it does."""
    asked = Request(f"{url}/models", headers={"Authorization": f"Bearer {key}"} if key else {})  # noqa: S310 - checked
    try:
        build_opener(Staying, ProxyHandler({})).open(asked, timeout=PATIENCE).close()
    except HTTPError as error:
        return f"answers {error.code} {error.reason}"
    except (OSError, http.client.HTTPException) as error:
        return str(getattr(error, "reason", error)) or type(error).__name__
    return ""
