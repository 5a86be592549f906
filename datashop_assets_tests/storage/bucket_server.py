"""The bucket server of the tests, mended: a file that ends in a carriage return keeps it.

    python -m datashop_assets_tests.storage.bucket_server start --host=127.0.0.1 --port=9023 --in-memory

gcsfs ends a file's bytes with a line feed and the boundary; the emulator reads them as a mail, takes both characters
for the line's end, and stores a byte less.
"""

import json
import re
from typing import Any

from gcp_storage_emulator import server
from gcp_storage_emulator.__main__ import main

theirs = server._read_data


def read_data(handler: Any, query: Any) -> Any:
    kind = handler.headers.get("Content-Type") or ""
    if not (found := re.fullmatch(r'multipart/related; boundary="(.+)"', kind)):
        return theirs(handler, query)
    mark = b"--" + found[1].encode()
    _, described, rest = server._read_raw_data(handler).split(mark, 2)
    head, content = rest.split(b"\n\n", 1)
    return {
        "meta": json.loads(described.split(b"\n\n", 1)[1]),
        "content": content.removesuffix(b"\n" + mark + b"--"),
        "content-type": head.partition(b":")[2].strip().decode(),
    }


server._read_data = read_data

if __name__ == "__main__":
    main()
