"""vLLM on a Ray cluster, as an application of Ray Serve: as many replicas as there is work for, on TPU slices or GPUs.

The application is one `LLMConfig` of `ray.serve.llm`. The cluster's dashboard takes orders as `serve deploy` gives them
and says where the application is reached. Configurations are validated with Ray's own classes in the tests, and the
life of an application is tried on a cluster of CPUs; on a TPU it has not been deployed.
"""

import json
import shlex
from collections.abc import Mapping, Sequence
from math import prod
from typing import Any, Self
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

from pydantic import Field, PrivateAttr, model_validator

from datashop_assets.protocols.annotator import Annotator
from resources.annotator.endpoints.addresses import RAY_SERVE, locate_endpoints
from resources.annotator.names import chips_of, full_name
from resources.annotator.resource import ServedModel

PORT = 8000
SECONDS = 60.0  # for a dashboard to answer
REQUEST_SECONDS = 600
GOING = ("DELETING",)


class RayServeVLLM(ServedModel):
    """vLLM on a Ray cluster by Ray Serve: finds the application that is deployed, else deploys it.

    What it deployed it also removes at the end, but for `keep`; what it found stays.
    """

    dashboard: str = Field(
        default="127.0.0.1:8265", description="Host and port of the cluster's dashboard; `ray dashboard FILE` brings it"
    )
    application: str = Field(default="annotator", description="The application's name")
    deploy: bool = Field(default=True, description="Whether to deploy an application that is not there")
    keep: bool = Field(default=False, description="Whether an application that was deployed here outlives the run")
    accelerator: str = Field(
        default="TPU-V6E", description="Ray's name of what each replica runs on: TPU-V6E, H100, A100-80G"
    )
    topology: str = Field(default="2x4", description="The TPU slice of each replica, such as 2x4; empty for GPUs")
    min_replicas: int = Field(default=1, ge=0, description="The fewest replicas")
    max_replicas: int = Field(default=8, gt=0, description="The most replicas")
    target_requests: int = Field(
        default=64, gt=0, description="Requests under way at each replica before another is started; vLLM computes 256"
    )
    weights: str = Field(
        default="", description="A bucket's folder, gs://..., that nodes read as themselves; empty: they ask the hub"
    )
    _deployed_here: bool = PrivateAttr(default=False)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.accelerator.startswith("TPU-") != bool(self.topology):
            raise ValueError(
                f"accelerator {self.accelerator!r} with topology {self.topology!r}: a TPU needs one (2x4), and nothing "
                "else has one"
            )
        if self.min_replicas > self.max_replicas:
            raise ValueError(f"{self.min_replicas} to {self.max_replicas} replicas; give no more min than max_replicas")
        return self

    def identity(self, model: str) -> tuple[str, str]:
        """The full name; the revision only where one is set, for nobody says which one an application serves."""
        return full_name(model), self.revision

    def create(self, model: str, revision: str) -> None:  # noqa: ARG002 - the engine's revision is a field
        """Raises `ValueError` where no dashboard answers, or nothing is deployed and `deploy` is off."""
        there = self.applications()
        found = there.get(self.application)
        self._deployed_here = False
        if found is not None and found["status"] not in GOING:
            self._say(f"Ray Serve: {self.application} is {found['status']} at {self.dashboard}")
            return
        if not self.deploy:
            raise ValueError(
                f"no application {self.application!r} is deployed at {self.dashboard}, but {sorted(there)}; set deploy "
                "or use `serve deploy`"
            )
        self._say(f"Ray Serve: deploying {model} as {self.application} at {self.dashboard}")
        self._deployed_here = True  # from here on there may be something to remove
        self._order("PUT", self._deployment([*self._others(there), self.application_schema(model)]))

    def wait(self) -> None:
        """Raises `ValueError` where it cannot be deployed, or is not after `start_deadline`."""
        list(locate_endpoints([self.name], self.start_deadline))

    def connect(self) -> Annotator:
        from resources.annotator.endpoints.annotator import EndpointsAnnotator

        return EndpointsAnnotator(tuple(locate_endpoints([self.name], self.patience)), self.policy)

    def clean_up(self) -> None:
        if not self._deployed_here or self.keep:
            return
        self._deployed_here = False
        others = self._others(self.applications())
        self._say(f"Ray Serve: removing {self.application} at {self.dashboard}")
        if others:
            self._order("PUT", self._deployment(others))
        else:
            self._order("DELETE")

    @property
    def name(self) -> str:
        """By which the endpoints annotator finds it as well."""
        return f"{RAY_SERVE}://{self.dashboard}/{self.application}"

    @property
    def chips(self) -> int | None:
        """Of a TPU slice; None for GPUs, of which a replica takes as many as it is parallel."""
        return prod(int(side) for side in self.topology.split("x")) if self.topology else None

    def serve_config(self, model: str) -> dict[str, Any]:
        """What `serve deploy` takes, as a file or by `ray.serve.schema.ServeDeploySchema`."""
        return self._deployment([self.application_schema(model)])

    def llm_config(self, model: str) -> dict[str, Any]:
        """One `ray.serve.llm.LLMConfig`. Raises `ValueError` where model and accelerator do not fit together."""
        name = full_name(model)
        tensor = self.tensor_parallel_size or chips_of(name)
        engine = {
            "tensor_parallel_size": tensor,
            "pipeline_parallel_size": self._stages(tensor),
            "max_model_len": self.max_model_len,
            "dtype": self.dtype,
            "enable_prefix_caching": True,
            **({"revision": self.revision, "tokenizer_revision": self.revision} if self.revision else {}),
            **engine_arguments(self.arguments),
        }
        scale = {
            "min_replicas": self.min_replicas,
            "max_replicas": self.max_replicas,
            "target_ongoing_requests": self.target_requests,
        }
        tpu = {"accelerator_config": {"kind": "tpu", "topology": self.topology}} if self.topology else {}
        return {
            "model_loading_config": {
                "model_id": name,
                "model_source": {"bucket_uri": self.weights} if self.weights else name,
            },
            "accelerator_type": self.accelerator,
            **tpu,
            "engine_kwargs": engine,
            "deployment_config": {"autoscaling_config": scale, "max_ongoing_requests": 4 * self.target_requests},
        }

    def application_schema(self, model: str) -> dict[str, Any]:
        """One `ray.serve.schema.ServeApplicationSchema`."""
        return {
            "name": self.application,
            "route_prefix": "/",
            "import_path": "ray.serve.llm:build_openai_app",
            "args": {"llm_configs": [self.llm_config(model)]},
        }

    def http_options(self) -> dict[str, Any]:
        """Where requests are taken: on each node's own address, for a cluster's network is private."""
        return {"host": "0.0.0.0", "port": PORT, "request_timeout_s": REQUEST_SECONDS}  # noqa: S104

    def _deployment(self, applications: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        return {
            "proxy_location": "EveryNode",
            "http_options": self.http_options(),
            "applications": list(applications),
        }

    def _stages(self, tensor: int) -> int:
        """Pipeline stages, so that tensor parallel size times these is every chip of the slice."""
        if self.chips is None:
            return 1
        if self.chips % tensor:
            raise ValueError(
                f"topology {self.topology} has {self.chips} chips, which tensor parallel size {tensor} does not "
                "divide; choose another topology or set DATASHOP_VLLM_TENSOR_PARALLEL_SIZE"
            )
        return self.chips // tensor

    def applications(self) -> dict[str, Any]:
        """What is deployed there, by name, as `ray.serve.schema.ApplicationDetails` says it."""
        found: dict[str, Any] = json.loads(self._order("GET"))["applications"]
        return found

    def _others(self, applications: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The applications beside this one: an order names all that are to stay."""
        stay = (each for name, each in applications.items() if name != self.application)
        return [each["deployed_app_config"] for each in stay if each["deployed_app_config"]]

    def _order(self, method: str, config: Mapping[str, Any] | None = None) -> bytes:
        """The dashboard's reply. Raises `ValueError` with the reason where it refuses, or nobody is there."""
        address = f"http://{self.dashboard}/api/serve/applications/"
        body = None if config is None else json.dumps(config).encode()
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        order = Request(address, body, headers, method=method)
        try:
            with build_opener(ProxyHandler({})).open(order, timeout=SECONDS) as answer:
                return bytes(answer.read())
        except HTTPError as error:
            raise ValueError(f"{self.dashboard}: {method} is refused: {error.read().decode()[-500:]}") from None
        except OSError as error:
            raise ValueError(
                f"{self.dashboard}: no dashboard of a Ray cluster answers there ({error}); `ray dashboard FILE` brings "
                "it to 127.0.0.1"
            ) from None


def engine_arguments(arguments: Sequence[str]) -> Mapping[str, Any]:
    """`--max-num-seqs 64 --enforce-eager` -> {"max_num_seqs": 64, "enforce_eager": True}."""
    found: dict[str, Any] = {}
    words = [part for word in arguments for part in word.split("=", 1)]
    for place, word in enumerate(words):
        after = words[place + 1] if place + 1 < len(words) else "--"
        if word.startswith("--"):
            found[word[2:].replace("-", "_")] = True if after.startswith("--") else _value(after)
        elif not place or not words[place - 1].startswith("--"):
            raise ValueError(f"engine arguments {shlex.join(arguments)!r}: {word!r} belongs to no option")
    return found


def _value(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
