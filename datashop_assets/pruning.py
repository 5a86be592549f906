"""What no prompt needs any more under a root: listed with its size, and removed when asked to.

A stage's folder is needed while some prompt's plan, as its file says now, names its digest, or some prompt names the
digest in its settings. Where a run goes on or somebody holds a lease, all that was last made for that prompt is needed
too: the run may be of an older version of it. Answers are never listed: they were paid for, and a later prompt may read
them again.
"""

import re
import shutil
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from datashop_assets.asking.store import DAMAGED as DAMAGED_PARTS
from datashop_assets.core.checks import CHECKS
from datashop_assets.core.plan import Plan
from datashop_assets.deployment import Deployment
from datashop_assets.prompts.prompt import SLUG
from datashop_assets.prompts.versions import RUNS, VERSIONS, version_of
from datashop_assets.storage.folders import Folder
from datashop_assets.storage.leases import EXPIRES, LOOKS, LeaseWatch, Owner, lease, owner_of
from datashop_assets.storage.manifest import MANIFEST
from datashop_assets.storage.root import DIGEST, MADE, Root
from datashop_assets.storage.stage_folder import DamagedStageError

PROMPTS = "prompts"


@dataclass(frozen=True)
class Waste:
    """Something that nothing needs. `folder` is what is removed, or `files` of it where they are named."""

    kind: str
    why: str
    folder: Folder
    bytes: int
    files: tuple[str, ...] = ()
    leased: bool = False  # a stage's folder, which is removed under its lease

    @property
    def place(self) -> str:
        return self.folder.uri


@dataclass
class Pruning:
    """What there is to remove, and what is not touched because somebody uses it."""

    waste: list[Waste] = field(default_factory=list)
    in_use: dict[str, str] = field(default_factory=dict)  # folder -> by whom
    watch: LeaseWatch = field(default_factory=LeaseWatch)  # which has seen whose leases are dead

    @property
    def bytes(self) -> int:
        return sum(one.bytes for one in self.waste)


class UnreadablePromptsError(ValueError):
    """What a prompt needs is not known, so nothing can be said of what no prompt needs."""


def find_waste(
    deployment: Deployment, running: Collection[str] = (), say: Callable[[str], None] = lambda _: None
) -> Pruning:
    """`running` are prompts of which a run goes on. Waits up to a lease's time for owners of leases to give a sign of
    life, which `say` is told.

    Raises `UnreadablePromptsError` where a prompt cannot be read or planned.
    """
    root = deployment.root
    plans = _plans(deployment)
    found = Pruning()
    held = _living_leases(root, found.watch, say)
    used = {*running, *(owner.prompt for owner in held.values())}
    needed = _needed(root, plans, used)
    found.in_use = {folder: str(owner) for folder, owner in held.items()}
    found.waste += _stages(root, needed, held)
    found.waste += _scratch(root, needed, held)
    found.waste += _damaged(root)
    found.waste += _records(root, plans, used)
    return found


def remove(found: Pruning, say: Callable[[str], None]) -> int:
    """Removes it, and gives how many bytes that freed. What somebody began to make in the meantime is left."""
    freed = 0
    for one in found.waste:
        if one.leased:
            with lease(one.folder, watch=found.watch) as held:
                if held.waited:
                    say(f"left {one.place}, which is in use now")
                    continue
                one.folder.remove()
        elif one.files:
            for name in one.files:
                one.folder.remove(name)
        elif (local := one.folder.local) is not None and local.is_dir():
            shutil.rmtree(local)
        else:
            one.folder.remove()
        freed += one.bytes
    return freed


def _plans(deployment: Deployment) -> dict[str, Plan]:
    problems = [str(error) for error in deployment.prompts.problems().values()]
    plans: dict[str, Plan] = {}
    for slug in deployment.prompts.slugs():
        try:
            plans[slug] = deployment.plan(slug)
        except (OSError, ValueError, DamagedStageError) as error:
            problems.append(f"{slug}: {error}")
    if problems:
        raise UnreadablePromptsError(
            "what these prompts need is not known, so nothing is removed; correct them, or remove their files:\n"
            + "\n".join(problems)
        )
    return plans


def _living_leases(root: Root, watch: LeaseWatch, say: Callable[[str], None]) -> dict[str, Owner]:
    """Folder -> who holds its lease, of owners that are not known to be dead. Waits for a sign of life of each."""
    living: dict[str, Owner] = {}
    waiting = {
        folder.uri: folder
        for name in root.stages.folders()
        for digest in root.stages.child(name).folders()
        if DIGEST.fullmatch(digest)
        for folder in [root.stage(name, digest)]
    }
    first = {uri: owner for uri, folder in waiting.items() if (owner := owner_of(folder)) is not None}
    waiting = {uri: waiting[uri] for uri, owner in first.items() if not watch.dead(uri, owner)}
    if waiting:
        say(f"{len(waiting)} stages have a lease: watching for up to {EXPIRES:.0f} s whether their owners live")
    while waiting:
        time.sleep(LOOKS)
        for uri, folder in list(waiting.items()):
            owner = owner_of(folder)
            if owner is None or watch.dead(uri, owner):
                del waiting[uri]
            elif owner != first[uri]:
                living[uri] = owner
                del waiting[uri]
    return living


def _needed(root: Root, plans: dict[str, Plan], used: Collection[str]) -> set[str]:
    """Digests of stages that somebody needs."""
    needed = {planned.digest for plan in plans.values() for planned in plan.values()}
    for plan in plans.values():  # an encoder for a first pass, a pool that is another prompt's result
        needed |= set(re.findall(rf"(?<![0-9a-f]){DIGEST.pattern}(?![0-9a-f])", plan.prompt.model_dump_json()))
    for slug in filter(None, used):
        folders = (root.last_made(slug, stage) for stage in root.stages_made(slug))
        needed |= {folder.uri.rpartition("/")[2] for folder in folders if folder is not None}
    return needed


def _stages(root: Root, needed: Collection[str], held: Collection[str]) -> Iterator[Waste]:
    for name in root.stages.folders():
        for digest in root.stages.child(name).folders():
            if not DIGEST.fullmatch(digest) or digest in needed:
                continue
            folder = root.stage(name, digest)
            if folder.uri not in held:
                yield Waste("stage", f"{name} as no prompt asks for it now", folder, _size(folder), leased=True)


def _scratch(root: Root, needed: Collection[str], held: Collection[str]) -> Iterator[Waste]:
    """Of stages that nobody needs, or that are finished. What an unfinished one left is used when it goes on."""
    for place in sorted(root.all_scratch.glob("*/*")):
        name, digest = place.parent.name, place.name.partition(".")[0]
        if not place.is_dir() or not DIGEST.fullmatch(digest):
            continue
        folder = root.stage(name, digest)
        if folder.uri not in held and (digest not in needed or folder.exists(MANIFEST)):
            local = Folder(str(place))
            yield Waste("scratch", f"what a build of {name} left that nobody goes on with", local, _size(local))


def _damaged(root: Root) -> Iterator[Waste]:
    for name in root.damaged.folders():
        for folder in (root.damaged.child(name, each) for each in root.damaged.child(name).folders()):
            yield Waste("damaged", f"{name}, set aside because it was damaged", folder, _size(folder))
    for question in root.answers.folders():
        folder = root.answers.child(question, DAMAGED_PARTS)
        if size := _size(folder):
            yield Waste("damaged", "answers, set aside because they were damaged", folder, size)


def _records(root: Root, plans: dict[str, Plan], used: Collection[str]) -> Iterator[Waste]:
    """All that is kept of prompts that are gone; of the others, of steps and versions that they have no more."""
    for slug in root.folder.child(PROMPTS).folders():
        if slug in used or not SLUG.fullmatch(slug):
            continue
        folder = root.prompt(slug)
        if slug not in plans:
            yield Waste("records", f"pointers and verdicts of {slug}, which is no prompt", folder, _size(folder))
            continue
        plan, sizes = plans[slug], folder.sizes()
        runs = tuple(name for name in sizes if name.startswith(f"{RUNS}/"))
        now = f"{VERSIONS}/{version_of(plan.prompt)}.json"
        versions = tuple(name for name in sizes if name.startswith(f"{VERSIONS}/") and name != now)
        gone = tuple(
            name for name in sizes if name.partition("/")[0] in (MADE, CHECKS) and name.partition("/")[2] not in plan
        )
        for files, why in (
            (gone, f"pointers and verdicts of steps that {slug} does not ask for"),
            ((*runs, *versions), f"older versions of {slug}, and what finished runs were pinned to"),
        ):
            if files:
                yield Waste("records", why, folder, sum(sizes[name] for name in files), files)


def _size(folder: Folder) -> int:
    local = folder.local
    if local is None:
        return sum(folder.sizes().values())
    return sum(path.lstat().st_size for path in Path(local).rglob("*") if not path.is_dir())
