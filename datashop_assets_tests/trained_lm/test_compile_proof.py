"""The real training step compiles for TPU slices that are not at hand."""

import pytest

from datashop_assets.trained_lm.compile_proof import models, prove, too_big


@pytest.mark.tpu
@pytest.mark.timeout(1800)
def test_400_million_weights_fit_on_eight_chips() -> None:
    proof = prove("400m", "v6e:2x4")
    assert proof.fits
    assert proof.kernel == "splash"
    assert 1 < (proof.gib or 0) < 31.2
    assert proof.collectives["all-gather"] > 0


def test_the_models_are_of_the_sizes_they_are_called() -> None:
    sizes = {name: model.config.parameters for name, model in models().items()}
    assert sizes["8b"] == 8_030_261_248  # as Llama 3.1 8B says of itself
    assert 4.0e8 < sizes["400m"] < 4.5e8
    assert 1.0e9 < sizes["1b"] < 1.2e9


def test_what_is_too_big_is_told_by_how_much() -> None:
    error = "RESOURCE_EXHAUSTED: Ran out of memory in memory space hbm. Used 49.90G of 31.24G hbm. Exceeded by 18.66G."
    assert too_big(error).startswith("needs 49.90G of the 31.24G that a chip has")
    assert too_big("RESOURCE_EXHAUSTED: 49.90G of memory exceeds available HBM 31.24G").startswith("needs 49.90G")
