"""What can be rented where: accelerators, their sizes and their zones, as closed sets.

Ray's own validators take any `v<number>-<number>`; these tables are what a misspelled accelerator is held against.
Sources: the tables "TPU configurations" and "TPU regions and zones" of Google Cloud's documentation.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Tpu:
    """A TPU generation. `topologies` by the number in the accelerator type: chips, or cores where a chip has two."""

    prefix: str  # of the accelerator type: v5e is called v5litepod there
    runtime: str  # the TPU VM's software version
    topologies: dict[int, str]
    single_host: int  # the largest size that is one machine
    cores_a_chip: int
    serves: bool  # whether vllm-tpu runs on it: its documentation lists v5e, v6e and v7x

    def accelerator_type(self, size: int) -> str:
        """Raises `ValueError` for a size that is not sold."""
        if size not in self.topologies:
            raise ValueError(f"no {self.prefix}-{size}: there are {', '.join(map(str, self.topologies))}")
        return f"{self.prefix}-{size}"

    def chips_a_host(self, size: int) -> int:
        """A machine of a slice of several holds four chips, whatever the generation."""
        return size // self.cores_a_chip if size <= self.single_host else 4


@dataclass(frozen=True)
class Gpu:
    """A machine type that comes with its GPUs."""

    machine_type: str
    ray_name: str  # Ray's accelerator type
    count: int
    serves: bool = True


FLAT = {8: "2x4", 16: "4x4", 32: "4x8", 64: "8x8", 128: "8x16", 256: "16x16"}
CUBES = {8: "2x2x1", 16: "2x2x2", 32: "2x2x4", 64: "2x4x4", 128: "4x4x4"}
TPUS = {
    "v4": Tpu("v4", "tpu-ubuntu2204-base", CUBES, single_host=8, cores_a_chip=2, serves=False),
    "v5e": Tpu("v5litepod", "v2-alpha-tpuv5-lite", FLAT, single_host=8, cores_a_chip=1, serves=True),
    "v6e": Tpu("v6e", "v2-alpha-tpuv6e", FLAT, single_host=8, cores_a_chip=1, serves=True),
}
GPUS = {"h100": Gpu("a3-highgpu-8g", "H100", 8)}
ZONES = {
    "europe-west4-b": "v5e",
    "us-central1-a": "h100",
    "us-central2-b": "v4",
    "us-east1-d": "v6e",
    "us-east5-b": "v6e",
}


def accelerator(zone: str) -> Tpu | Gpu:
    """What a zone has. Raises `ValueError` for a zone that is not in the table."""
    if zone not in ZONES:
        raise ValueError(f"unknown zone {zone!r}; infra/clusters/accelerators.py has {', '.join(ZONES)}")
    name = ZONES[zone]
    return TPUS[name] if name in TPUS else GPUS[name]
