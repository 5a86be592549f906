import pytest

from datashop_assets.datasets import datashop_dclm_annotation_subset, datashop_dclm_pretraining_subset, resolve_uri


def test_presets_name_files_at_a_fixed_revision() -> None:
    for preset in (datashop_dclm_annotation_subset, datashop_dclm_pretraining_subset):
        assert resolve_uri(preset).startswith("hf://datasets/mlfoundations/dclm-baseline-1.0@")


@pytest.mark.parametrize("uri", ["gs://bucket/*.parquet", "/data/pool.jsonl", "pool/*.jsonl.zst", "pool.jsonl"])
def test_anything_that_looks_like_a_place_stands_for_itself(uri: str) -> None:
    assert resolve_uri(uri) == uri


def test_an_unknown_preset_says_which_there_are() -> None:
    with pytest.raises(ValueError, match=r"'imbedded' is not a dataset; use one of embedded, .*or a path, glob or URI"):
        resolve_uri("imbedded")
