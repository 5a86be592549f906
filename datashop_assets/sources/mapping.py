"""Work over source files and shards, by the stage's compute where it has one, with a bar: of bytes read, or shards."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from datashop_assets.core.step import Resources
from datashop_assets.sources.split import FileTask

Job = TypeVar("Job")
Result = TypeVar("Result")


def map_files(
    tools: Resources, name: str, function: Callable[[FileTask], tuple[str, Result]], tasks: Sequence[FileTask]
) -> Iterator[tuple[str, Result]]:
    """Yields `(shard, result)` for every file, in any order."""
    sizes = {task.file.shard: task.file.bytes for task in tasks}
    results = _map(tools, function, tasks)
    with tools.progress.bar(name, sum(sizes.values()), "B") as bar:
        for shard, result in results:
            yield shard, result
            bar.advance(sizes[shard])


def map_shards(tools: Resources, name: str, function: Callable[[Job], Result], jobs: Sequence[Job]) -> Iterator[Result]:
    """Yields the result of every job, one a shard, in any order."""
    with tools.progress.bar(name, len(jobs), "shards") as bar:
        for result in _map(tools, function, jobs):
            yield result
            bar.advance()


def _map(tools: Resources, function: Callable[[Job], Result], jobs: Sequence[Job]) -> Iterator[Result]:
    return tools.compute.map(function, jobs) if tools.compute else map(function, jobs)
