"""The layout of `DATASHOP_ROOT`: where stages, prompts and caches stand.

stages/<stage>/<plan digest>/   what a stage made
answers/<generation digest>/    what annotators said, by question; see `asking.store`
prompts/<slug>/made/<stage>     the digest of each stage that was made last for this prompt
prompts/<slug>/checks/<stage>   what the checks said of each, and what that depends on
prompts/<slug>/prompt.yaml      the resolved prompt of an experiment started from Python
prompts/<slug>/versions/, runs/ what prompts said that runs were started for; see `prompts.versions`
damaged/<stage>/<digest>-<time> stages whose manifest or files could not be believed, set aside; nothing reads them
cache/                          what can be made again (local, also where the root is a bucket)
"""

import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from datashop_assets.data_packages import data_folder, installed_data
from datashop_assets.settings import Settings
from datashop_assets.storage.folders import CreateOnly, Folder

CACHE_HOME = "~/.cache"
MADE = "made"
DAMAGED = "damaged"
DIGEST = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Root:
    """`DATASHOP_ROOT`, a folder or a bucket.

    What can be made again stands below a local root, and for a bucket in the user's cache folder (`cache_home`), unless
    `cache_folder` says where. Sample texts and weights are in `data_folder`; empty: where they are installed for this
    environment or user.
    """

    uri: str
    cache_folder: str = ""
    create_only: CreateOnly | None = field(default=None, compare=False, repr=False)  # see `Folder.create`
    cache_home: str = CACHE_HOME
    data_folder: str = ""

    @cached_property
    def folder(self) -> Folder:
        return Folder(self.uri, self.create_only)

    @property
    def cache(self) -> Path:
        """A folder on this machine's disk: below a local root, else in the user's cache folder."""
        if self.cache_folder:
            return Path(self.cache_folder)
        local = self.folder.local
        if local is not None:
            return local / "cache"
        return Path(self.cache_home).expanduser() / "datashop"

    @property
    def data(self) -> Path:
        """The folder of the data packages."""
        return Path(self.data_folder) if self.data_folder else installed_data()

    @property
    def stages(self) -> Folder:
        return self.folder.child("stages")

    def stage(self, name: str, digest: str) -> Folder:
        return self.stages.child(name, digest)

    @property
    def answers(self) -> Folder:
        return self.folder.child("answers")

    @property
    def all_scratch(self) -> Path:
        return self.cache / "scratch"

    def scratch(self, name: str, digest: str) -> Path:
        """Where a stage's scratch folders begin; see `storage.scratch`."""
        return self.all_scratch / name / digest

    @property
    def damaged(self) -> Folder:
        return self.folder.child(DAMAGED)

    def prompt(self, slug: str) -> Folder:
        return self.folder.child("prompts", slug)

    def stages_made(self, slug: str) -> set[str]:
        """The stages that were ever made for this prompt."""
        return set(self.prompt(slug).child(MADE).names())

    def last_made(self, slug: str, stage: str) -> Folder | None:
        """The folder of the stage that was last made for this prompt; None where there is none, or nobody can tell."""
        try:
            digest = self.prompt(slug).child(MADE).read(stage).decode(errors="replace").strip()
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            return None
        return self.stage(stage, digest) if DIGEST.fullmatch(digest) else None

    def record_made(self, slug: str, stage: str, digest: str) -> None:
        self.prompt(slug).child(MADE).write(stage, digest.encode())


def project() -> Path:
    """The project this package stands in; where it is installed elsewhere, the folder a command was started in."""
    above = Path(__file__).parents[2]
    return above if (above / "workspace.yaml").exists() else Path.cwd()


def default_root(settings: Settings) -> Root:
    """The root that `DATASHOP_ROOT` names, else the folder `datashop_root` of the project."""
    return Root(
        settings.root or str(project() / "datashop_root"),
        cache_home=settings.cache_home,
        data_folder=str(data_folder(settings)),
    )
