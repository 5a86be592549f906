"""Leases: of two runs that want the same stage, one makes it and the other waits for it.

A lease is a file created only if absent, with its owner's heartbeat inside. An owner that stopped beating is taken for
dead after `EXPIRES` seconds; one that ran on this machine is noticed at once when its process is gone. One that was
stopped or asleep may come back: so each file is put in place only while `check_held` finds the lease still there.
"""

import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from datashop_assets.storage.folders import Folder

LEASE = "lease.json"
BEATS = 10.0  # seconds between heartbeats
EXPIRES = 60.0  # seconds without a heartbeat after which an owner elsewhere is taken for dead
LOOKS = 0.5  # seconds between a waiting run's looks
SIZE = 512  # bytes of every lease: who reads one in a bucket by the size that it had before gets it whole

Owner = dict[str, Any]
NOBODY: Owner = {"id": "nobody", "machine": "", "process": 0, "beat": 0.0}


class LostLeaseError(OSError):
    """Another run took this one for dead and makes its stage. Nothing that it finished is lost."""


@dataclass(frozen=True)
class Held:
    """A lease that is held: by whom, and whether another run held it before and had to be waited for."""

    holder: str
    waited: bool


def check_held(folder: Folder, holder: str) -> None:
    """Raises `LostLeaseError` where `holder` no longer holds the folder."""
    if _read(folder, LEASE).get("id") != holder:
        raise LostLeaseError(
            f"another run took over {folder.uri}, because this one gave no sign of life for {EXPIRES:.0f} s (it was "
            "stopped, its machine slept, or the storage did not answer); run again: what is finished is used"
        )


@contextmanager
def lease(folder: Folder) -> Iterator[Held]:
    """Holds `folder` while the block runs."""
    owner: Owner = {"id": uuid.uuid4().hex, "machine": _machine(), "process": os.getpid()}
    waited = False
    while not (folder.create(LEASE, _beat(owner)) or _take_over(folder, owner)):
        waited = True
        time.sleep(LOOKS)
    stop = threading.Event()
    beating = threading.Thread(target=_keep_beating, args=(folder, owner, stop), daemon=True)
    beating.start()
    try:
        yield Held(owner["id"], waited)
    finally:
        stop.set()
        beating.join()
        if _read(folder, LEASE).get("id") == owner["id"]:
            folder.remove(LEASE)


def _take_over(folder: Folder, owner: Owner) -> bool:
    """Takes the lease of a dead owner. A claim, created only if absent, lets one of many waiters do so."""
    dead = _read(folder, LEASE)
    if not dead or _alive(dead):
        return False
    claim = f"claim-{dead['id']}.json"
    if not folder.create(claim, _beat(owner)):
        if not _alive(_read(folder, claim)):
            folder.remove(claim)  # the claimant died too
        return False
    taken = bool(_read(folder, LEASE).get("id") == dead["id"])
    if taken:
        folder.write(LEASE, _beat(owner))
    folder.remove(claim)
    return taken


def _keep_beating(folder: Folder, owner: Owner, stop: threading.Event) -> None:
    while not stop.wait(BEATS):
        with suppress(Exception):  # a bucket's errors are of any kind; one lost beat is followed by the next
            if _read(folder, LEASE).get("id") != owner["id"]:
                return
            folder.write(LEASE, _beat(owner))


def _beat(owner: Owner) -> bytes:
    return orjson.dumps({**owner, "beat": time.time()}).ljust(SIZE)


def _read(folder: Folder, name: str) -> Owner:
    """Nothing where there is no such file. What cannot be read is a dead owner's: a machine lost its power, say."""
    try:
        return {**NOBODY, **orjson.loads(folder.read(name))}
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError):
        return NOBODY


def _alive(owner: Owner) -> bool:
    if not owner or (owner["machine"] == _machine() and not _process_lives(owner["process"])):
        return False
    return bool(time.time() - owner["beat"] < EXPIRES)


def _machine() -> str:
    """The host and its process namespace: within one, a process number can be looked up."""
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
