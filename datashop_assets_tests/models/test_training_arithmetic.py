"""What saves time or memory changes no result but by rounding."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from datashop_assets.models.attention import RopeScaling, kernel_of, splash
from datashop_assets.models.llama.model import HELD, Llama, LlamaConfig, parts_of, token_losses
from datashop_assets.prompts.settings import Training as TrainingSection
from datashop_assets.trained_lm.mixture import Rows
from datashop_assets.trained_lm.training import Batch, TrainingFunctions, schedule
from datashop_assets.training_documents.settings import TrainingSettings

SETTINGS = TrainingSettings(
    depth=1, length=32, batch=4, steps=10, seeds=1, learning_rate=0.01, warmup_fraction=0.1, filtered_share=0.5
)
CONFIG = SETTINGS.llama(96)


def batch() -> Batch:
    tokens = np.random.default_rng(0).integers(0, 96, (4, 33)).astype(np.int32)
    return Rows(tokens, 0, [], np.zeros(4), np.zeros(4)).laid_out(slice(None))


def loss_and_gradients(config: LlamaConfig = CONFIG, **changes: object) -> tuple[float, list[jax.Array]]:
    training = TrainingFunctions(config, replace(SETTINGS, **changes), "cpu")
    weights = nnx.state(Llama(config, rngs=nnx.Rngs(0)), nnx.Param)
    loss, gradients = jax.jit(jax.value_and_grad(training.loss()))(weights, batch())
    return float(loss), jax.tree.leaves(gradients)


@pytest.fixture(scope="module")
def plain() -> tuple[float, list[jax.Array]]:
    return loss_and_gradients()


@pytest.mark.parametrize("recompute", ["all but products", "layers"])
def test_what_is_recomputed_is_what_was_computed(plain: tuple[float, list[jax.Array]], recompute: str) -> None:
    loss, gradients = loss_and_gradients(recompute=recompute)
    assert loss == pytest.approx(plain[0], abs=1e-6)
    for one, two in zip(gradients, plain[1], strict=True):
        np.testing.assert_allclose(one, two, atol=1e-5)


def test_bfloat16_arithmetic_keeps_float32_gradients_of_float32_weights(plain: tuple[float, list[jax.Array]]) -> None:
    loss, gradients = loss_and_gradients(precision="bfloat16")
    assert loss == pytest.approx(plain[0], abs=0.02)
    assert {str(leaf.dtype) for leaf in gradients} == {"float32"}


def test_grouped_queries_and_an_output_matrix_of_its_own_train() -> None:
    config = replace(SETTINGS, depth=2, query_group=2, tied=False).llama(96)
    assert (config.num_attention_heads, config.num_key_value_heads) == (2, 1)
    loss, gradients = loss_and_gradients(config)
    assert loss == pytest.approx(np.log(96), abs=0.7)
    assert sum(leaf.size for leaf in gradients) == config.parameters
    assert all(bool(jnp.abs(leaf).max() > 0) for leaf in gradients)


def test_losses_in_parts_are_the_losses_and_so_are_their_gradients() -> None:
    keys = jax.random.split(jax.random.key(0), 3)
    hidden, matrix = jax.random.normal(keys[0], (2, 12, 8)), jax.random.normal(keys[1], (8, 20))
    targets = jax.random.randint(keys[2], (2, 12), 0, 20)

    def total(matrix: jax.Array, parts: int) -> jax.Array:
        return token_losses(lambda x: x @ matrix, hidden, targets, parts=parts).sum()

    whole = jax.value_and_grad(total)(matrix, 1)
    for parts in (2, 3, 12):
        cut = jax.value_and_grad(total)(matrix, parts)
        assert float(cut[0]) == pytest.approx(float(whole[0]), rel=1e-6)
        np.testing.assert_allclose(cut[1], whole[1], rtol=1e-4, atol=1e-5)


def test_the_parts_hold_few_logits_and_divide_the_row() -> None:
    assert parts_of(8, 128, 1024) == 1  # the demo
    parts = parts_of(256, 4096, 128_256, devices=256)
    assert 4096 % parts == 0
    assert 256 * 4096 * 128_256 / parts / 256 <= HELD


def test_logits_of_a_whole_batch_are_nowhere_in_a_large_step() -> None:
    settings = replace(SETTINGS, length=256, batch=64)
    config = replace(settings.llama(8192), num_hidden_layers=1)
    training = TrainingFunctions(config, settings, "cpu")
    (weights, _), rows = training.shapes()
    program = jax.jit(jax.grad(training.loss())).lower(weights, rows).as_text()
    assert "64x256x8192" not in program
    assert "64x64x8192" in program


@pytest.mark.parametrize(
    ("platform", "head", "length", "precision", "kernel"),
    [
        ("cpu", 128, 4096, "bfloat16", "xla"),
        ("gpu", 128, 4096, "bfloat16", "cudnn"),
        ("gpu", 128, 4096, "float32", "xla"),
        ("gpu", 64, 1001, "bfloat16", "xla"),
        ("gpu", 100, 1000, "bfloat16", "xla"),
        ("tpu", 128, 4096, "bfloat16", "splash"),
        ("tpu", 64, 4096, "bfloat16", "xla"),
        ("tpu", 128, 100, "bfloat16", "xla"),
    ],
)
def test_every_platform_has_its_kernel(platform: str, head: int, length: int, precision: str, kernel: str) -> None:
    assert kernel_of(platform, head, length, precision) == kernel


@pytest.mark.parametrize("length", [128, 640, 2048, 2176])
def test_splash_takes_every_length_that_it_is_chosen_for(length: int) -> None:
    assert kernel_of("tpu", 128, length, "bfloat16") == "splash"
    query, keys = (jax.ShapeDtypeStruct((2, length, heads, 128), jnp.bfloat16) for heads in (4, 2))
    attend = splash(jnp.zeros((2, length), jnp.int32), None)
    assert jax.eval_shape(attend, query, keys, keys).shape == query.shape


def test_short_waves_are_left_and_long_ones_stretched() -> None:
    scaling = RopeScaling(factor=8.0, low=1.0, high=4.0, original=8192)
    waves = np.array([100.0, 2048.0, 8192.0, 100_000.0])  # tokens
    ratio = np.asarray(scaling.apply(2 * np.pi / waves)) / (2 * np.pi / waves)
    np.testing.assert_allclose(ratio, [1.0, 1.0, 1 / 8, 1 / 8], rtol=1e-5)


def test_the_dial_gives_tokens_by_size() -> None:
    settings = TrainingSettings.of(
        TrainingSection(length=128, batch=8, seeds=1, steps="optimal", depth=2, vocabulary=1024)
    )
    config = settings.llama(1024)
    leaves = jax.tree.leaves(nnx.eval_shape(lambda: nnx.state(Llama(config, rngs=nnx.Rngs(0)))))
    weights = config.parameters
    assert weights == sum(leaf.size for leaf in leaves)
    assert 0 <= settings.tokens - 20 * weights < 1024


def test_an_anneal_ends_at_zero_and_a_run_from_scratch_at_a_tenth() -> None:
    anneal, scratch = schedule(replace(SETTINGS, steps=100, anneal=True)), schedule(replace(SETTINGS, steps=100))
    assert float(anneal(100)) == 0.0
    assert float(anneal(55)) == pytest.approx(0.005)
    assert float(scratch(100)) == pytest.approx(0.001)


@pytest.mark.parametrize("anneal", [True, False])
@pytest.mark.parametrize("steps", [1, 10])
def test_a_warm_up_of_all_steps_leaves_the_last_one(steps: int, anneal: bool) -> None:
    rates = schedule(replace(SETTINGS, steps=steps, warmup_fraction=0.96, anneal=anneal))
    assert float(rates(steps - 1)) == pytest.approx(0.01)
