"""Stages without a graph around them: a build function called on inputs made here."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from datashop_assets.core.step import Resources, Step, StepOutput, StepResult, StepRun, config_json
from datashop_assets.data_packages import installed_data
from datashop_assets.storage.folders import Folder
from datashop_assets.storage.manifest import Manifest, content_digest
from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets.storage.stage_writer import StageWriter

ConfigT = TypeVar("ConfigT")
ResultT = TypeVar("ResultT", bound=StepResult)


def run_step(
    step: Step[ConfigT, ResultT],
    root: Path,
    config: ConfigT,
    inputs: Iterable[StageFolder] = (),
    *,
    name: str = "",
    resources: Resources | None = None,
    output: StageWriter | None = None,
    **given: Any,
) -> StepOutput[ResultT]:
    """Builds a step in `root/name` (the step's own name by default) from outputs that lie under the names of theirs.

    `given` are further fields of the `StepRun`.
    """
    name = name or step.name
    types = {one.result.step: one.result for one in step.inputs}
    found = {one.manifest.stage: StepOutput(one.folder, types[one.manifest.stage]) for one in inputs}
    run = StepRun(
        config=config,
        inputs=found,
        output=output or writer(root, name),
        resources=resources or Resources(),
        cache=root / "cache",
        data=installed_data(),
        answers=Folder(f"{root}/answers"),
        prompt_folder=Folder(f"{root}/prompt"),
        **given,
    )
    result = step.build(run)
    return step.output(finish(run.output, step.name, result.model_dump(mode="json"), config_json(config)).folder)


class LosesEveryWorker:
    """A compute each of whose workers is lost when its item is done, before it can say so: another is given it too.

    What the first has written below `folder` must be left as it is.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def map(self, function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        for item in items:
            function(item)
            written = self._files()
            found = function(item)
            assert self._files() == written
            yield found

    def _files(self) -> dict[Path, tuple[int, int]]:
        files = (path for path in self._folder.rglob("*") if path.is_file())
        return {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in files}


def stage_of_rows(root: Path, name: str, shards: Mapping[str, Iterable[Mapping[str, Any]]], schema: Any) -> StageFolder:
    """A finished stage that holds these Parquet shards."""
    output = writer(root, name)
    for shard, rows in shards.items():
        output.write_rows(shard, rows, schema)
    return finish(output, name, {}, {})


def writer(root: Path, name: str) -> StageWriter:
    scratch = root / "scratch" / name
    scratch.mkdir(parents=True, exist_ok=True)
    return StageWriter(Folder(str(root / name)), scratch)


def finish(output: StageWriter, name: str, metrics: dict[str, Any], config: Mapping[str, Any]) -> StageFolder:
    files = output.files()
    output.close(
        Manifest(
            stage=name,
            plan_digest="0" * 32,
            content_digest=content_digest(files),
            code_version="1",
            config=dict(config),
            inputs={},
            files=files,
            metrics=metrics,
            seconds=0.0,
            finished_at="2000-01-01T00:00:00+00:00",
            versions={},
            machine={},
        )
    )
    return StageFolder(output.folder)
