"""What can be known of GPUs without one: the step lowers for them, and the benchmark says what it lacks."""

import jax
import pytest
from jax._src.cudnn import fused_attention_stablehlo as cudnn

from datashop_assets.trained_lm.training import TrainingFunctions
from datashop_assets.training_documents.settings import TrainingSettings
from datashop_assets_tests.benchmarks import train_gpu
from datashop_assets_tests.small_lm import TRAINING


def test_on_a_gpu_attention_is_cudnns_forward_and_backward(monkeypatch: pytest.MonkeyPatch) -> None:
    """JAX checks the shapes and puts the calls in; cuDNN, which would run them, is not here."""
    monkeypatch.setattr(cudnn, "check_cudnn_version", lambda: 91_100)
    monkeypatch.setattr(cudnn, "check_compute_capability", lambda capability: True)
    monkeypatch.setattr(cudnn, "is_cuda_compute_capability_equal", lambda capability: False)
    sizes = {"length": 256, "depth": 2, "precision": "bfloat16", "recompute": "layers"}
    settings = TrainingSettings(**{**TRAINING, **sizes})
    training = TrainingFunctions(settings.llama(384), settings, "gpu")
    lowered = jax.jit(training.step).trace(*training.shapes()).lower(lowering_platforms=("cuda",)).as_text()
    assert "__cudnn$fmhaScaleBiasSoftmax(" in lowered
    assert "__cudnn$fmhaScaleBiasSoftmaxBackward(" in lowered


def test_the_benchmark_says_that_it_needs_a_gpu() -> None:
    with pytest.raises(SystemExit, match="train_gpu needs an NVIDIA GPU"):
        train_gpu.main()


@pytest.mark.peers
def test_both_sides_of_the_benchmark_learn_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of it but the GPU, on a model of two layers."""
    monkeypatch.setattr(train_gpu, "DEPTHS", {"small": 2})
    monkeypatch.setattr(train_gpu, "VOCABULARY", 512)
    monkeypatch.setattr(train_gpu, "BATCH_TOKENS", 512)
    found = train_gpu.compare("small", 128)
    assert found["ours"] > 0
    assert found["peer"] > 0
    assert 0 < found["mfu_measured"] < 1
    assert found["losses"]["ours"][1] < found["losses"]["ours"][0] - 0.3
    assert found["losses"]["furthest_apart"] < 0.05  # nats, in bfloat16
