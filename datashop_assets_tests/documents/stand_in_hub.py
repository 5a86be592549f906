"""A stand-in for the Hugging Face hub on this machine: it lists files of datasets and models and serves ranges of them.

What the real client asks for is answered as the hub does (huggingface_hub 1.x); nothing else is.
"""

import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote

import orjson

from datashop_assets.storage.digests import digest_of_bytes

Files = Mapping[str, bytes]  # path in a dataset -> bytes
ASKED = re.compile(
    r"(?:/api)?/(?:datasets/|models/)?(?P<dataset>[^/]+/[^/]+)(?:/(?P<what>[a-z-]+)/(?P<revision>[^/]+)/?(?P<path>.*))?"
)
NO_HEADERS: Mapping[str, str] = {}


@contextmanager
def hub(datasets: Mapping[str, Files]) -> Iterator[str]:
    """Its address, for `HF_ENDPOINT`."""

    class Handler(_Handler):
        served = datasets

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    served: Mapping[str, Files]

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        asked = ASKED.fullmatch(unquote(path))
        files = self.served.get(asked["dataset"]) if asked else None
        if asked is None or files is None:
            self._not_found()
        elif asked["what"] == "tree":
            found = list(_tree(files, asked["path"].rstrip("/"), "recursive=true" in query.lower()))
            self._send(found) if found else self._not_found()
        elif asked["what"] == "resolve":
            data = files[asked["path"]]
            first, last = re.findall(r"\d+", self.headers["range"] or f"0-{len(data) - 1}")
            part = {"content-range": f"bytes {first}-{last}/{len(data)}"}
            self._send_bytes(206, data[int(first) : int(last) + 1], part)
        else:
            self._send({"id": asked["dataset"], "sha": asked["revision"] or "main", "siblings": []})

    def do_POST(self) -> None:
        asked = ASKED.fullmatch(unquote(self.path))
        assert asked is not None
        assert asked["what"] == "paths-info"
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        paths = parse_qs(body)["paths"] if "=" in body else orjson.loads(body)["paths"]
        files = self.served[asked["dataset"]]
        self._send([_entry(path, files[path]) for path in paths if path in files])

    def log_message(self, *words: object) -> None:
        pass

    def _send(self, value: object) -> None:
        self._send_bytes(200, orjson.dumps(value))

    def _not_found(self) -> None:
        self._send_bytes(404, b'{"error": "no such entry"}', {"x-error-code": "EntryNotFound"})

    def _send_bytes(self, status: int, data: bytes, headers: Mapping[str, str] = NO_HEADERS) -> None:
        self.send_response(status)
        for name, value in {"content-type": "application/json", "content-length": len(data), **headers}.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(data)


def _tree(files: Files, folder: str, deep: bool) -> Iterator[dict[str, Any]]:
    """What stands in a folder: files, and folders each once."""
    inside = [path for path in files if path.startswith(f"{folder}/" if folder else "")]
    below = {path: path[len(folder) :].lstrip("/").split("/") for path in inside}
    for name in sorted({parts[0] for parts in below.values() if len(parts) > 1}):
        yield {"type": "directory", "path": f"{folder}/{name}".lstrip("/"), "oid": name, "size": 0}
    for path, parts in below.items():
        if deep or len(parts) == 1:
            yield _entry(path, files[path])


def _entry(path: str, data: bytes) -> dict[str, Any]:
    return {"type": "file", "path": path, "size": len(data), "oid": digest_of_bytes(data)}
