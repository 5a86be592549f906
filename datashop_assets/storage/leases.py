"""Leases: of two runs that want the same stage, one makes it and the other waits for it.

A lease is a file created only if absent, with its owner and a count of heartbeats inside. Whoever waits goes by its own
clock: an owner is dead when its lease has not changed for `EXPIRES` seconds of watching, whatever time the owner's
machine thinks it is, or at once when it ran on this machine and its process is gone. An owner that was stopped or
asleep may come back: so each file is put in place only while `check_held` finds the lease still there.
"""

import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from datashop_assets.storage.folders import Folder

LEASE = "lease.json"
CLAIM = "claim-"  # a file beside a dead owner's lease, of the one waiter that takes it over
BEATS = 10.0  # seconds between heartbeats
EXPIRES = 60.0  # seconds of watching without a heartbeat after which an owner is taken for dead
LOOKS = 0.5  # seconds between a waiting run's looks
SIZE = 768  # bytes of every lease: who reads one in a bucket by the size that it had before gets it whole


class LostLeaseError(OSError):
    """Another run took this one for dead and makes its stage. Nothing that it finished is lost."""


class Owner(BaseModel):
    """Who holds a lease."""

    model_config = ConfigDict(frozen=True)
    id: str = Field(pattern=r"^[A-Za-z0-9_-]+$")  # becomes part of a claim's name
    machine: str = ""  # the host, and its process namespace: within one, a process number can be looked up
    process: int = 0
    prompt: str = ""
    since: str = ""  # UTC, by the owner's clock: to be shown, never compared
    beat: float = 0  # whatever it is, only that it changes counts

    def __str__(self) -> str:
        if self == UNREADABLE:
            return "an owner that cannot be read"
        host = self.machine.partition(" ")[0] or "an unknown machine"
        prompt, since = (f" for {self.prompt!r}" if self.prompt else "", f" since {self.since}" if self.since else "")
        return f"process {self.process} on {host}{prompt}{since}"

    @property
    def gone(self) -> bool:
        """Whether its process is known to have ended: it ran on this machine, or nobody can read who it was."""
        return self == UNREADABLE or (self.machine == _machine() and not _process_lives(self.process))

    @property
    def may_return(self) -> bool:
        """Whether its process is on this machine and there: stopped, perhaps."""
        return self.machine == _machine() and not self.gone


UNREADABLE = Owner(id="nobody")  # of a machine that lost its power, say


@dataclass(frozen=True)
class Held:
    """A lease that is held: by whom, and whether another run held it before.

    `waited` says that it had to be waited for, `rival` that it was taken from a process that may come back.
    """

    holder: str
    waited: bool
    rival: bool = False


class LeaseWatch:
    """Tells dead owners from living ones, by this process's clock alone."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[Owner, float]] = {}

    def dead(self, place: str, owner: Owner) -> bool:
        """Whether the owner that stands at `place` now is dead. False at first sight, unless its process is gone."""
        if owner.gone:
            return True
        last, since = self._seen.get(place, (None, 0.0))
        if owner != last:
            self._seen[place] = (owner, time.monotonic())
            return False
        return time.monotonic() - since >= EXPIRES


def owner_of(folder: Folder, name: str = LEASE) -> Owner | None:
    """Who holds the folder; None where nobody does."""
    try:
        return Owner.model_validate_json(folder.read(name))
    except FileNotFoundError:
        return None
    except (ValidationError, IsADirectoryError):
        return UNREADABLE


def check_held(folder: Folder, holder: str) -> None:
    """Raises `LostLeaseError` where `holder` no longer holds the folder."""
    owner = owner_of(folder)
    if owner is None or owner.id != holder:
        now = "and nobody holds it now" if owner is None else f"to {owner}"
        raise LostLeaseError(
            f"this process lost its lease of {folder.uri} {now}: it gave no sign of life for {EXPIRES:.0f} s (it was "
            "stopped, its machine slept, or the storage did not answer), or the lease was removed. Run again: what is "
            "finished is used"
        )


@contextmanager
def lease(
    folder: Folder, prompt: str = "", say: Callable[[str], None] = lambda _: None, watch: LeaseWatch | None = None
) -> Iterator[Held]:
    """Holds `folder` while the block runs. `say` gets a line about for whom it waits, and from whom it takes over.

    `watch` is of who has watched the folder's lease before.
    """
    since = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    owner = Owner(id=uuid.uuid4().hex, machine=_machine(), process=os.getpid(), prompt=prompt, since=since)
    watch, waited, rival, announced = watch or LeaseWatch(), False, False, ""
    while not folder.create(LEASE, _bytes(owner)):
        found = owner_of(folder)
        if found is not None and watch.dead(folder.uri, found) and _take_over(folder, owner, found, watch):
            say(f"takes over {folder.uri} from {found}, which is dead")
            rival = found.may_return
            break
        if found is not None and found.id != announced:
            say(f"waits for {found}, which makes {folder.uri}")
            announced = found.id
        waited = True
        time.sleep(LOOKS)
    stop = threading.Event()
    beating = threading.Thread(target=_keep_beating, args=(folder, owner, stop), daemon=True)
    beating.start()
    try:
        yield Held(owner.id, waited, rival)
    finally:
        stop.set()
        beating.join()
        with suppress(Exception):  # a bucket's errors are of any kind; a lease that is left runs out
            if (now := owner_of(folder)) is not None and now.id == owner.id:
                folder.remove(LEASE)


def _take_over(folder: Folder, owner: Owner, dead: Owner, watch: LeaseWatch) -> bool:
    """Takes the lease of a dead owner. A claim, created only if absent, lets one of many waiters do so."""
    claim = f"{CLAIM}{dead.id}.json"
    if not folder.create(claim, _bytes(owner)):
        claimant = owner_of(folder, claim)
        if claimant is not None and watch.dead(f"{folder.uri}/{claim}", claimant):
            folder.remove(claim)
        return False
    taken = owner_of(folder) == dead  # as it was watched: one heartbeat more and it lives
    if taken:
        folder.write(LEASE, _bytes(owner))
    folder.remove(claim)
    return taken


def _keep_beating(folder: Folder, owner: Owner, stop: threading.Event) -> None:
    beat = 0
    while not stop.wait(BEATS):
        beat += 1
        with suppress(Exception):  # a bucket's errors are of any kind; one lost beat is followed by the next
            if (now := owner_of(folder)) is None or now.id not in (owner.id, UNREADABLE.id):
                return
            folder.write(LEASE, _bytes(owner.model_copy(update={"beat": beat})))


def _bytes(owner: Owner) -> bytes:
    return owner.model_dump_json().encode().ljust(SIZE)


def _machine() -> str:
    namespace = Path("/proc/self/ns/pid")
    return f"{socket.gethostname()} {namespace.readlink() if namespace.is_symlink() else ''}"


def _process_lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
