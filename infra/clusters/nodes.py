"""The node types of a cluster file: machines and slices, each from a closed set."""

from typing import Annotated, Literal, NoReturn, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from infra.clusters.accelerators import GPUS, TPUS, Gpu, Tpu
from infra.clusters.workers import GPU_IMAGE, HEAD_IMAGE, SCOPE

Number = Annotated[int, Field(ge=0, le=1024)]
MOST_CPUS = 240  # of a v4 host; others have fewer


class Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class DiskSource(Closed):
    diskSizeGb: Annotated[int, Field(ge=100, le=1000)]  # noqa: N815 - as the cloud calls it, here and below
    sourceImage: Literal[HEAD_IMAGE, GPU_IMAGE]  # type: ignore[valid-type]  # noqa: N815


class Disk(Closed):
    boot: Literal[True]
    autoDelete: Literal[True]  # noqa: N815
    type: Literal["PERSISTENT"]
    initializeParams: DiskSource  # noqa: N815


class Spot(Closed):
    provisioningModel: Literal["SPOT"]  # noqa: N815
    onHostMaintenance: Literal["TERMINATE"]  # noqa: N815


Email = Annotated[
    str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{4,28}[a-z0-9]@[a-z0-9-]+\.iam\.gserviceaccount\.com$")
]
Scopes = Annotated[list[Literal[SCOPE]], Field(min_length=1, max_length=1)]  # type: ignore[valid-type]


class MachineAccount(Closed):
    email: Email
    scopes: Scopes


class SliceAccount(Closed):
    email: Email
    scope: Scopes


class Machine(Closed):
    """A virtual machine: the head, or a worker with GPUs."""

    machineType: Literal["n2-standard-8", *(gpu.machine_type for gpu in GPUS.values())]  # type: ignore[valid-type]  # noqa: N815
    disks: Annotated[list[Disk], Field(min_length=1, max_length=1)]
    scheduling: Spot | None = None
    serviceAccounts: Annotated[list[MachineAccount], Field(max_length=1)] = []  # noqa: N815

    @property
    def identity(self) -> str:
        return self.serviceAccounts[0].email if self.serviceAccounts else ""


class Preemptible(Closed):
    preemptible: Literal[True]


class Slice(Closed):
    """A TPU slice."""

    acceleratorType: Literal[*(f"{tpu.prefix}-{size}" for tpu in TPUS.values() for size in tpu.topologies)]  # type: ignore[valid-type]  # noqa: N815
    runtimeVersion: Literal[*(tpu.runtime for tpu in TPUS.values())]  # type: ignore[valid-type]  # noqa: N815
    schedulingConfig: Preemptible  # noqa: N815
    serviceAccount: SliceAccount  # noqa: N815

    @property
    def identity(self) -> str:
        return self.serviceAccount.email


class NodeType(Closed):
    min_workers: Number
    max_workers: Number
    resources: dict[str, Number]
    labels: dict[str, str] = {}
    node_config: Slice | Machine

    @model_validator(mode="after")
    def _fewest_before_most(self) -> Self:
        if self.min_workers > self.max_workers:
            refuse("min_workers is above max_workers")
        return self


def is_head(kind: NodeType) -> bool:
    """A machine of its own kind on which nothing is placed."""
    machine = kind.node_config
    if (kind.min_workers, kind.max_workers, kind.resources, kind.labels) != (0, 0, {"CPU": 0}, {}):
        return False
    if not isinstance(machine, Machine) or machine.scheduling or machine.serviceAccounts:
        return False
    return _is(machine, "n2-standard-8", HEAD_IMAGE)


def check_worker(name: str, kind: NodeType, chip: Tpu | Gpu, project: str) -> None:
    """Raises `ValueError` for a node type that its zone does not have, or that says less than Ray must know."""
    cpus, machine = kind.resources.get("CPU", 0), kind.node_config
    if machine.identity.partition("@")[2] != f"{project}.iam.gserviceaccount.com":
        refuse(f"{name}: the service account is one of {project}; without it nothing can be pulled or read there")
    if isinstance(chip, Tpu) and isinstance(machine, Slice):
        wanted = _check_slice(name, kind, machine, chip)
    elif isinstance(chip, Gpu) and isinstance(machine, Machine):
        wanted = _check_gpus(name, kind, machine, chip)
    else:
        refuse(f"{name} is no machine with this zone's accelerator")
    if not 1 <= cpus <= MOST_CPUS or kind.resources != {"CPU": cpus, **wanted}:
        refuse(f"{name}: the resources of this node are 1 to {MOST_CPUS} CPU and {wanted}")


def _check_slice(name: str, kind: NodeType, machine: Slice, tpu: Tpu) -> dict[str, int]:
    prefix, _, number = machine.acceleratorType.rpartition("-")
    size = int(number)
    if prefix != tpu.prefix or machine.runtimeVersion != tpu.runtime:
        refuse(f"{name}: {machine.acceleratorType} with {machine.runtimeVersion} is not to be had in this zone")
    if name != ("worker" if size <= tpu.single_host else f"slice-{size}"):
        refuse(f"{name}: Ray adds and removes single machines, called `worker`; others are called slice-SIZE")
    if size > tpu.single_host and kind.min_workers != kind.max_workers:
        refuse(f"{name}: a slice of several machines is asked for at a fixed number")
    if kind.labels != {"ray.io/tpu-topology": tpu.topologies[size], "ray.io/tpu-pod-type": machine.acceleratorType}:
        refuse(f"{name}: the labels are not those of {machine.acceleratorType}")
    ray_name = f"accelerator_type:TPU-{tpu.prefix.upper()}"
    return {"TPU": tpu.chips_a_host(size), f"TPU-{machine.acceleratorType}-head": 1, ray_name: 1}


def _check_gpus(name: str, kind: NodeType, machine: Machine, gpu: Gpu) -> dict[str, int]:
    if name != "worker" or machine.scheduling is None or kind.labels or not _is(machine, gpu.machine_type, GPU_IMAGE):
        refuse(f"{name}: the workers of this zone are called `worker` and are {gpu.machine_type}, preemptible")
    return {"GPU": gpu.count, f"accelerator_type:{gpu.ray_name}": 1}


def _is(machine: Machine, machine_type: str, image: str) -> bool:
    return bool(machine.machineType == machine_type and machine.disks[0].initializeParams.sourceImage == image)


def refuse(why: str) -> NoReturn:
    """Raises `ValueError`, which pydantic reports with its place."""
    raise ValueError(why)
