"""Where computation lies: on the devices of a mesh by one set of rules, or on the cores of a CPU, a piece a thread.

A mesh has three axes. `data`: every device has all weights and reads other rows. `fsdp`: the same, with weights and
optimizer state cut over the devices and gathered a layer at a time (ZeRO-3; Rajbhandari et al., 2020,
arXiv:1910.02054). `tensor`: heads, the hidden width of feed-forward layers and the vocabulary are cut, so that devices
share a layer's products (Shoeybi et al., 2019, arXiv:1909.08053). Networks name the axes of their arrays; only this
file knows where an axis goes, and the compiler puts in the communication that follows.

A CPU is one device. What comes in equal pieces is compiled for one thread there and computed side by side: XLA gains
less from splitting a matrix product over cores than from computing two at once, and what one thread computes does not
depend on how many cores there are. Other backends compile as they like, one piece after the other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import gcd, prod
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from datashop_assets.machine import cores

AXES = ("data", "fsdp", "tensor")
Place = str | tuple[str, ...] | None

RULES: Mapping[str, Place] = {
    "batch": ("data", "fsdp"),
    "width": "fsdp",  # of weights alone: activations keep their width whole
    "heads": "tensor",
    "hidden": "tensor",
    "vocabulary": "tensor",
}
ONE_THREAD = {"xla_cpu_multi_thread_eigen": False}


@dataclass(frozen=True)
class MeshShape:
    """How many devices stand along each axis."""

    data: int = 1
    fsdp: int = 1
    tensor: int = 1

    @classmethod
    def parse(cls, text: str) -> "MeshShape":
        """Reads `fsdp=4,tensor=2`; axes that are not named are 1. Raises `ValueError`."""
        try:
            sizes = {name.strip(): int(size) for name, size in (part.split("=") for part in text.split(",") if part)}
            shape = cls(**sizes)
        except (TypeError, ValueError):
            raise ValueError(f"a mesh is written as data=1,fsdp=4,tensor=2, not {text!r}") from None
        if min(shape.sizes) < 1:
            raise ValueError(f"mesh {text!r}: every axis is at least 1")
        return shape

    @classmethod
    def cutting(cls, width: int, devices: int) -> "MeshShape":
        """Weights of this width cut over as many of the devices as divide it; the rest along `data`."""
        fsdp = gcd(width, devices)
        return cls(data=devices // fsdp, fsdp=fsdp)

    @property
    def sizes(self) -> tuple[int, int, int]:
        return self.data, self.fsdp, self.tensor

    @property
    def devices(self) -> int:
        return prod(self.sizes)

    def over(self, devices: Sequence[Any]) -> Mesh:
        """The mesh over the first of `devices`. Raises `ValueError` where there are too few."""
        if len(devices) < self.devices:
            raise ValueError(
                f"a mesh of {'x'.join(map(str, self.sizes))} ({', '.join(AXES)}) needs {self.devices} devices, "
                f"and there are {len(devices)}; lower one of its axes"
            )
        return Mesh(np.array(devices[: self.devices], dtype=object).reshape(self.sizes), AXES)


ONE_DEVICE = MeshShape()


@dataclass(frozen=True)
class ShardingRules:
    """Where the named axes of arrays lie on `mesh`. An axis without a rule is whole on every device."""

    mesh: Mesh
    places: Mapping[str, Place] = field(default_factory=lambda: RULES, hash=False)

    def spec(self, *axes: str | None) -> PartitionSpec:
        return PartitionSpec(  # type: ignore[no-untyped-call]
            *(None if axis is None else self.places.get(axis) for axis in axes)
        )

    def sharding(self, *axes: str | None) -> NamedSharding:
        """For an array with these axes, one name (or None) a dimension."""
        return NamedSharding(self.mesh, self.spec(*axes))

    def check(self, shape: Sequence[int], *axes: str | None) -> None:
        """Raises `ValueError` where an axis of an array of this shape cannot be cut into equal parts."""
        for size, axis in zip(shape, axes, strict=True):
            place = self.places.get(axis) if axis else None
            parts = prod(self.mesh.shape[name] for name in ((place,) if isinstance(place, str) else place or ()))
            if size % parts:
                raise ValueError(
                    f"{axis} {size} cannot be cut into {parts} equal parts ({place}); "
                    f"{gcd(size, parts)} would do, and the other devices along another axis of the mesh"
                )

    def keep(self, x: jax.Array, *axes: str | None) -> jax.Array:
        """`x`, constrained to lie as its axes say."""
        kept: jax.Array = jax.lax.with_sharding_constraint(x, self.sharding(*axes))  # type: ignore[no-untyped-call]
        return kept


def workers() -> int:
    """How many pieces are worked on at once in this process."""
    return cores() if jax.default_backend() == "cpu" else 1


def compiler_options() -> dict[str, Any]:
    """For `lowered.compile`: one thread on a CPU."""
    return ONE_THREAD if jax.default_backend() == "cpu" else {}
