"""Runs in `.venv-peers`: a stage as a Hugging Face dataset.

python datasets_peer.py SLUG STAGE [PATTERN]
"""

import json
import sys

import datashop_assets


def main() -> None:
    slug, stage, *pattern = sys.argv[1:]
    rows = datashop_assets.open_stage(slug, stage).dataset(*pattern)
    print(json.dumps({"kind": type(rows).__name__, "columns": rows.column_names, "rows": rows.to_list()}))


if __name__ == "__main__":
    main()
