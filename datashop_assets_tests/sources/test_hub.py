"""`hf://` addresses, through the real Hugging Face client, against a small stand-in for the hub on this machine."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

import orjson
import pytest
import zstandard

FOLDER = "global-shard_01_of_10/local-shard_0_of_10"
FILES = {
    f"{FOLDER}/shard_{shard:08d}_processed.jsonl.zst": zstandard.compress(b'{"text": "a", "url": "u"}\n' * (shard + 1))
    for shard in range(6)
}
READ = """
from datashop_assets.datasets import datashop_dclm_annotation_subset, resolve_uri
from datashop_assets.sources.files import find_source_files
from datashop_assets.sources.readers import Fields, read_documents
for file in find_source_files(resolve_uri(datashop_dclm_annotation_subset)):
    documents = list(read_documents(file, Fields("text", "id", "url")))
    print(file.shard, file.version, len(documents), documents[0].source)
"""


class Hub(BaseHTTPRequestHandler):
    """Lists one folder of one dataset and serves ranges of its files."""

    def do_GET(self) -> None:
        path = unquote(self.path.partition("?")[0])
        if "/tree/a3b142c/" in path:
            whole = path.endswith(FOLDER)
            files = [{"type": "file", "path": n, "size": len(FILES[n]), "oid": f"oid-{n[-21]}"} for n in FILES]
            self._send(files if whole else [{"type": "directory", "path": FOLDER, "oid": "folder"}])
        elif "/resolve/a3b142c/" in path:
            data = FILES[path.partition("/resolve/a3b142c/")[2]]
            first, last = re.findall(r"\d+", self.headers["range"])
            self._send_bytes(206, data[int(first) : int(last) + 1], f"bytes {first}-{last}/{len(data)}")
        else:
            self._send({"id": "mlfoundations/dclm-baseline-1.0", "sha": "a3b142c", "siblings": []})

    def log_message(self, *words: object) -> None:
        pass

    def _send(self, value: object) -> None:
        self._send_bytes(200, orjson.dumps(value), "")

    def _send_bytes(self, status: int, data: bytes, content_range: str) -> None:
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        if content_range:
            self.send_header("content-range", content_range)
        self.end_headers()
        self.wfile.write(data)


@pytest.fixture
def hub() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_the_annotation_preset_reads_the_first_four_files_of_its_folder(hub: str) -> None:
    kept = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    environment = {**kept, "HF_ENDPOINT": hub, "HF_HUB_OFFLINE": "0"}
    done = subprocess.run([sys.executable, "-c", READ], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [f"shard_{n:08d}_processed oid-{n} {n + 1} u" for n in range(4)]
