"""The bucket server of the tests, corrected: a file that ends in a carriage return keeps it, and `ifGenerationMatch=0`
holds.

    python -m datashop_assets_tests.storage.bucket_server start --host=127.0.0.1 --port=9023 --in-memory

gcsfs ends a file's bytes with a line feed and the boundary; the emulator reads them as a mail, takes both characters
for the line's end, and stores a byte less. Google's own client ends lines with both. The emulator also takes a file
that may only be created where one stands already, which Google's service refuses with 412.
"""

import json
import re
import threading
from http import HTTPStatus
from typing import Any

from gcp_storage_emulator import server
from gcp_storage_emulator.__main__ import main
from gcp_storage_emulator.exceptions import NotFound
from gcp_storage_emulator.handlers import objects

theirs = server._read_data


def read_data(handler: Any, query: Any) -> Any:
    kind = handler.headers.get("Content-Type") or ""
    if not (found := re.fullmatch(r'multipart/related; boundary="(.+)"', kind)):
        return theirs(handler, query)
    mark = b"--" + found[1].encode()
    _, described, rest = server._read_raw_data(handler).split(mark, 2)
    line = b"\r\n" if rest.startswith(b"\r\n") else b"\n"
    head, content = rest.split(2 * line, 1)
    return {
        "meta": json.loads(described.split(2 * line, 1)[1]),
        "content": content.rstrip(b"\r\n").removesuffix(mark + b"--").removesuffix(line),
        "content-type": head.partition(b":")[2].strip().decode(),
    }


server._read_data = read_data
server.server.HTTPServer = server.server.ThreadingHTTPServer  # clients keep connections open
upload, one_at_a_time = objects._multipart_upload, threading.Lock()


def upload_if_allowed(request: Any, response: Any, storage: Any) -> Any:
    with one_at_a_time:
        return _upload_if_allowed(request, response, storage)


def _upload_if_allowed(request: Any, response: Any, storage: Any) -> Any:
    name = request.query.get("name", [request.data["meta"].get("name")])[0]
    if request.query.get("ifGenerationMatch") == ["0"]:
        try:
            storage.get_file_obj(request.params["bucket_name"], name)
        except NotFound:
            pass
        else:
            response.status = HTTPStatus.PRECONDITION_FAILED
            return None
    return upload(request, response, storage)


objects._multipart_upload = upload_if_allowed

if __name__ == "__main__":
    main()
