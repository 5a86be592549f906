"""Can results be written, is there room, can the prompts be read, and is Dagster's state as it should be?"""

import shutil
import uuid

from datashop_assets.doctor.finding import Finding
from datashop_assets.orchestration.home import SETTINGS, SHIPPED, home_folder
from datashop_assets.prompts.store import PromptStore, default_prompts
from datashop_assets.shipped import shipped
from datashop_assets.storage.root import default_root

ROOM = 2.0  # GB: the demo writes 20 MB, a small model's checkpoints some hundreds


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
        mend = "`datashop new-prompt` makes it; if prompts are elsewhere, name their folder in DATASHOP_PROMPTS"
        return Finding("prompts", "note", f"{folder} is not made yet", mend)
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
            "Dagster",
            "note",
            f"{settings} is not the one that comes with Datashop",
            "nothing, if you changed it; else remove it, and the next run makes it",
        )
    return Finding("Dagster", "good", str(home))
