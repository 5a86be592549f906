"""An event loop in a thread of its own, and a stream of work through it, seen from code that is not asynchronous."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from queue import SimpleQueue
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class LoopThread:
    """Use it as a context: at its end whatever is still under way is cancelled and the thread is gone."""

    def __enter__(self) -> "LoopThread":
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="annotator", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.run(_cancel_the_rest())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """What `work` returns or raises."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def stream(self, items: Iterable[Item], work: Callable[[Item], Awaitable[Result]], window: int) -> Iterator[Result]:
        """`work` on every item, at most `window` at a time; results as they come. `items` are read in this thread."""
        done: SimpleQueue[asyncio.Future[Result]] = SimpleQueue()
        under_way: set[asyncio.Future[Result]] = set()  # the loop itself holds tasks only weakly
        left = 0

        def start(item: Item) -> None:
            task = asyncio.ensure_future(work(item))
            under_way.add(task)
            task.add_done_callback(finish)

        def finish(task: asyncio.Future[Result]) -> None:
            under_way.discard(task)
            done.put(task)

        for item in items:
            while left >= window or not done.empty():
                left -= 1
                yield done.get().result()
            self._loop.call_soon_threadsafe(start, item)
            left += 1
        for _ in range(left):
            yield done.get().result()


async def _cancel_the_rest() -> None:
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
