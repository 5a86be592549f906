"""Work over source files, by the stage's compute where it has one, with a bar that counts bytes read."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from datashop_assets.sources.split import FileTask
from datashop_assets.stage import Tools

Result = TypeVar("Result")


def map_files(
    tools: Tools, name: str, function: Callable[[FileTask], tuple[str, Result]], tasks: Sequence[FileTask]
) -> Iterator[tuple[str, Result]]:
    """Yields `(shard, result)` for every file, in any order."""
    sizes = {task.file.shard: task.file.bytes for task in tasks}
    results = tools.compute.map(function, tasks) if tools.compute else map(function, tasks)
    with tools.progress.bar(name, sum(sizes.values()), "B") as bar:
        for shard, result in results:
            yield shard, result
            bar.advance(sizes[shard])
