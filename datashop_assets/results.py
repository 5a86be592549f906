"""Results for notebooks: any stage of any prompt as polars or as Hugging Face datasets, every file checked first.

import datashop_assets

annotations = datashop_assets.open_stage("mathematics", "annotations")
annotations.polars().filter(pl.col("status") != "parsed")
datashop_assets.open_stage("mathematics", "filtered_pool").dataset()
"""

import fnmatch
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datashop_assets.deployment import Deployment
from datashop_assets.settings import read_settings
from datashop_assets.storage.manifest import File, Manifest
from datashop_assets.storage.root import Root, default_root
from datashop_assets.storage.stage_folder import StageFolder

if TYPE_CHECKING:
    import polars as pl

PARQUET = ".parquet"


@dataclass(frozen=True)
class OpenedStage:
    """A finished stage. `folder` gives its other files: models, reports, pages."""

    folder: StageFolder

    @property
    def metrics(self) -> dict[str, Any]:
        return self.folder.metrics

    @property
    def manifest(self) -> Manifest:
        return self.folder.manifest

    def names(self, pattern: str | None = None) -> list[str]:
        """Shards that match a pattern such as `round1-*`; without one, those that hold the stage's own rows."""
        return [file.name for file in self._shards(pattern)]

    def polars(self, pattern: str | None = None) -> "pl.DataFrame":
        """The rows of the shards below each other; a column that one shard lacks is null there."""
        import polars as pl

        tables = [self._table(name) for name in self.names(pattern)]
        return pl.concat(tables, how="diagonal_relaxed") if tables else pl.DataFrame()

    def dataset(self, pattern: str | None = None) -> Any:
        """The same as `datasets.Dataset`. Needs the package `datasets`, which Datashop does not bring along.

        Raises `ValueError` where no shard matches.
        """
        from datasets import load_dataset  # type: ignore[import-not-found, unused-ignore]

        files = [str(self.folder.file(name)) for name in self.names(pattern)]
        if not files:
            raise ValueError(f"{self.folder.uri} has no rows that match {pattern!r}; names() lists its shards")
        kind = "parquet" if files[0].endswith(PARQUET) else "json"
        return load_dataset(kind, data_files=files, split="train")

    def _shards(self, pattern: str | None) -> Iterator[File]:
        for file in self.folder.shards:
            if (not file.beside) if pattern is None else fnmatch.fnmatch(file.name, pattern):
                yield file

    def _table(self, name: str) -> "pl.DataFrame":
        import polars as pl

        if name.endswith(PARQUET):
            return pl.read_parquet(self.folder.file(name))
        return pl.from_dicts(list(self.folder.rows(name)), infer_schema_length=None)


def open_stage(prompt: str, stage: str, *, root: str | Root | None = None, prompts: Path | None = None) -> OpenedStage:
    """A stage as its prompt's file asks for it now. `root` and `prompts` default to the environment's.

    Raises `ValueError` for a stage that does not exist, that the prompt does not ask for, or that is not current, and
    says what to do.
    """
    settings = read_settings()
    own = replace(default_root(settings), uri=root) if isinstance(root, str) else root
    here = Deployment.of(settings, root=own, prompts=prompts)
    plan = here.plan(prompt)
    if stage not in plan:
        raise ValueError(f"unknown stage {stage!r}; the stages of {prompt!r} are {', '.join(plan)}")
    planned = plan[stage]
    if not planned.usable:
        fix = planned.fix or f"run `datashop run {prompt} --until {stage}`"
        reason = f": {planned.reason}" if planned.reason else ""
        raise ValueError(f"{stage} of {prompt!r} is {planned.state}{reason}; {fix}")
    return OpenedStage(planned.output)
