"""Scratch: local folders that outlive a killed build, so that the next one goes on with its checkpoints and the like.

A stage has one scratch folder, `<base>`, which passes from a dead build to the next. Where the one before may come back
(it was stopped for longer than its lease lasts, and its process is still there), its folder is marked as lost to it and
the next build takes another, `<base>.<holder>`: two processes never write into one folder.
"""

import shutil
from pathlib import Path

from datashop_assets.storage.leases import Held

LOST = "lost"  # a file in a folder that a process may still write into which has lost its lease


def scratch_folder(base: Path, held: Held) -> Path:
    """The folder of whoever holds the lease, made if need be."""
    if held.rival:
        for place in _all(base):
            (place / LOST).touch()
    free = [place for place in _all(base) if not (place / LOST).exists()]
    place = free[0] if free else base.with_name(f"{base.name}.{held.holder[:8]}") if base.exists() else base
    place.mkdir(parents=True, exist_ok=True)
    return place


def remove_scratch(base: Path) -> None:
    """Removes the folders of all builds of a stage. What is not there is no error."""
    for place in _all(base):
        shutil.rmtree(place, ignore_errors=True)


def _all(base: Path) -> list[Path]:
    return [place for place in [base, *sorted(base.parent.glob(f"{base.name}.*"))] if place.is_dir()]
