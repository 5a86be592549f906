"""The layout of `DATASHOP_ROOT`: where stages, prompts and caches stand.

stages/<stage>/<plan digest>/   what a stage made
answers/<generation digest>/    what annotators said, by question; see `asking.store`
prompts/<slug>/made/<stage>     the digest of each stage that was made last for this prompt
prompts/<slug>/checks/<stage>   what the checks said of each, and what that depends on
prompts/<slug>/prompt.yaml      the resolved prompt of an experiment started from Python
cache/                          what can be made again (local, also where the root is a bucket)
"""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from datashop_assets.settings import Settings, read_settings
from datashop_assets.storage.folders import CreateOnly, Folder

MADE = "made"


@dataclass(frozen=True)
class Root:
    """`DATASHOP_ROOT`, a folder or a bucket. `cache_folder` overrides where local caches stand."""

    uri: str
    cache_folder: str = ""
    create_only: CreateOnly | None = field(default=None, compare=False, repr=False)  # see `Folder.create`

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
        return Path(read_settings().cache_home).expanduser() / "datashop"

    @property
    def stages(self) -> Folder:
        return self.folder.child("stages")

    def stage(self, name: str, digest: str) -> Folder:
        return self.stages.child(name, digest)

    @property
    def answers(self) -> Folder:
        return self.folder.child("answers")

    def scratch(self, name: str, digest: str) -> Path:
        return self.cache / "scratch" / name / digest

    def prompt(self, slug: str) -> Folder:
        return self.folder.child("prompts", slug)

    def made(self, slug: str) -> dict[str, str]:
        """Stage -> the digest that was last made for this prompt."""
        made = self.prompt(slug).child(MADE)
        return {stage: made.read(stage).decode() for stage in made.names()}

    def record_made(self, slug: str, stage: str, digest: str) -> None:
        self.prompt(slug).child(MADE).write(stage, digest.encode())


def project() -> Path:
    """The project this package stands in; where it is installed elsewhere, the folder a command was started in."""
    above = Path(__file__).parents[2]
    return above if (above / "workspace.yaml").exists() else Path.cwd()


def default_root(settings: Settings | None = None) -> Root:
    """The root that `DATASHOP_ROOT` names, else the folder `datashop_root` of the project."""
    return Root((settings or read_settings()).root or str(project() / "datashop_root"))
