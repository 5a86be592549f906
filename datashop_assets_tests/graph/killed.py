"""Runs one stage and dies in the middle of it, as by `kill -9`: at a write of the storage, or when a file appears.

python -m datashop_assets_tests.graph.killed ROOT PROMPTS SLUG STAGE --at-write 7
python -m datashop_assets_tests.graph.killed ROOT PROMPTS SLUG STAGE --when-exists 'GLOB below the cache'
"""

import argparse
import os
import signal
import threading
import time
from pathlib import Path

from datashop_assets.core.build import make_step
from datashop_assets.graph import plan
from datashop_assets.prompts.store import PromptStore
from datashop_assets.runner import local_resources
from datashop_assets.settings import read_settings
from datashop_assets.storage.root import Root
from datashop_assets.trained_lm import checkpoints


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("root", "prompts", "slug", "stage"):
        parser.add_argument(name)
    parser.add_argument("--at-write", type=int)
    parser.add_argument("--when-exists")
    arguments = parser.parse_args()
    root = Root(arguments.root)
    if arguments.at_write:
        die_at_write(arguments.at_write)
    if arguments.when_exists:
        checkpoints.SECONDS = checkpoints.SPARED = 0.0
        threading.Thread(target=die_when_exists, args=(root.cache, arguments.when_exists), daemon=True).start()
    planned = plan(PromptStore(Path(arguments.prompts), root).load(arguments.slug), root)
    make_step(arguments.stage, planned, local_resources(read_settings()))


def die_at_write(count: int) -> None:
    """Dies just before the `count`-th file takes its place: what was written for it is lost."""
    left = [count]
    put = Path.replace

    def replace(self: Path, target: str | Path) -> Path:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return put(self, target)

    Path.replace = replace  # type: ignore[method-assign,assignment]


def die_when_exists(folder: Path, glob: str) -> None:
    while not any(folder.glob(glob)):
        time.sleep(0.005)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
