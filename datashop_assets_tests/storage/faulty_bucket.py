"""A proxy before the bucket server that fails, is slow, or loses writes it has confirmed."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import quote

import aiohttp
from aiohttp import web

from datashop_assets_tests.conftest import free_port


@dataclass
class Faults:
    """What goes wrong, counted over all requests."""

    fail_every: int = 0  # a 503 instead of an answer
    delay: float = 0.0  # seconds before each answer
    closed: bool = False  # whoever writes is told that he may not
    lose: Callable[[str], bool] = lambda name: False  # confirmed, and then not there
    requests: int = field(default=0, init=False)
    failed: int = field(default=0, init=False)
    lost: list[str] = field(default_factory=list, init=False)


@contextmanager
def faulty(bucket_server: str, faults: Faults) -> Iterator[str]:
    """The address of a proxy for `bucket_server`, on loopback."""
    port, loop, ready = free_port(), asyncio.new_event_loop(), threading.Event()
    stop = asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=(_serve(bucket_server, faults, port, ready, stop),))
    thread.start()
    ready.wait()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


async def _serve(server: str, faults: Faults, port: int, ready: threading.Event, stop: asyncio.Event) -> None:
    app = web.Application(client_max_size=1 << 30)
    async with aiohttp.ClientSession(auto_decompress=False) as session:

        async def answer(request: web.Request) -> web.StreamResponse:
            return await _answer(request, server, session, faults)

        app.router.add_route("*", "/{path:.*}", answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        ready.set()
        await stop.wait()
        await runner.cleanup()


async def _answer(
    request: web.Request, server: str, session: aiohttp.ClientSession, faults: Faults
) -> web.StreamResponse:
    faults.requests += 1
    await asyncio.sleep(faults.delay)
    if faults.fail_every and faults.requests % faults.fail_every == 0:
        faults.failed += 1
        return web.Response(status=503, text="try again")
    if faults.closed and request.method in {"POST", "PUT", "PATCH"}:
        faults.failed += 1
        return web.json_response({"error": {"code": 403, "message": "no permission to write"}}, status=403)
    headers = {name: value for name, value in request.headers.items() if name.lower() not in {"host", "content-length"}}
    async with session.request(
        request.method, server + request.raw_path, data=await request.read(), headers=headers
    ) as answer:
        body = await answer.read()
        if request.path.startswith("/upload/") and answer.status == 200:
            await _lose(body, server, session, faults)
        kept = {name: value for name, value in answer.headers.items() if name.lower() in KEPT}
        return web.Response(status=answer.status, body=body, headers=kept)


KEPT = {"content-type", "location", "range", "content-range", "x-goog-hash", "etag"}


async def _lose(body: bytes, server: str, session: aiohttp.ClientSession, faults: Faults) -> None:
    import orjson

    written = orjson.loads(body) if body.startswith(b"{") else {}
    if (name := written.get("name")) and faults.lose(name):
        faults.lost.append(name)
        await session.delete(f"{server}/storage/v1/b/{written['bucket']}/o/{quote(name, safe='')}")
