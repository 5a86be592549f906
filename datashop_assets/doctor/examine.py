"""Looks at what a run needs: packages, data, storage, prompts, Dagster's state, profile, annotator, accelerator.

Each look is on its own: one that fails says so and the others go on. Nothing is changed but a probe file under the
root, which is removed again.
"""

from collections.abc import Callable, Mapping

from datashop_assets.doctor.accelerator import accelerator
from datashop_assets.doctor.annotator import annotator
from datashop_assets.doctor.environment import data_packages, packages, profile, python
from datashop_assets.doctor.finding import Finding
from datashop_assets.doctor.places import dagster_state, disk, prompts, storage

LOOKS: Mapping[str, Callable[[], Finding]] = {
    "Python": python,
    "packages": packages,
    "data packages": data_packages,
    "storage": storage,
    "disk": disk,
    "prompts": prompts,
    "Dagster": dagster_state,
    "profile": profile,
    "annotator": annotator,
    "accelerator": accelerator,
}


def examine(looks: Mapping[str, Callable[[], Finding]] = LOOKS) -> list[Finding]:
    """One finding a look, in their order."""
    return [_looked(name, look) for name, look in looks.items()]


def _looked(name: str, look: Callable[[], Finding]) -> Finding:
    try:
        return look()
    except Exception as error:  # noqa: BLE001 - a look that breaks is itself what is wrong
        return Finding(name, "bad", f"{type(error).__name__}: {error}", "see the message")
