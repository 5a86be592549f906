"""A bucket that tensorstore can write to: the emulator, saying the generation of what is read as Google does.

tensorstore, which writes checkpoints, writes a manifest only over the generation that it has read.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any
from unittest.mock import patch

from gcp_storage_emulator.handlers import objects
from gcp_storage_emulator.server import create_server

from datashop_assets_tests.conftest import free_port

download = objects.download


@contextmanager
def bucket() -> Iterator[str]:
    """The address of a server whose bucket is `tests`."""
    port = free_port()
    server = create_server("127.0.0.1", port, in_memory=True, default_bucket="tests")
    with patch.object(objects, "download", _download):
        server.start()
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            server.stop()


def _download(request: Any, response: Any, storage: Any, *rest: Any, **more: Any) -> None:
    download(request, response, storage, *rest, **more)
    if response.status not in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
        return
    found = storage.get_file_obj(request.params["bucket_name"], request.params["object_id"])
    response["x-goog-generation"] = found["generation"]
    if request.query.get("ifGenerationNotMatch") == [found["generation"]]:
        response.status = HTTPStatus.NOT_MODIFIED
        response.write_file(b"")
