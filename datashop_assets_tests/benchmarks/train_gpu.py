"""Tokens a second and MFU on one GPU in bfloat16, 400M and 1B weights, rows of 2,048 and 4,096 tokens, against torch.

MFU is given by the data-sheet rate and by the rate that this card multiplies 8,192 x 8,192 matrices at. The peer is
compiled by `torch.compile` and attends by `scaled_dot_product_attention`. Written without a GPU at hand: not yet run.
"""

import tempfile
from pathlib import Path
from typing import Any

import jax

from datashop_assets.tpu_compilation import DEPTHS, VOCABULARY
from datashop_assets.trained_lm.training import device_rate
from datashop_assets.training_documents.settings import TrainingSettings
from datashop_assets_tests.benchmarks import lm_sizes
from datashop_assets_tests.benchmarks.sides import PEERS, print_result, run_peer
from datashop_assets_tests.benchmarks.training_here import LEARNING_RATE, agreement, prepare, settings, train

RUN = {"warmup": 5, "steps": 20}
SHEET = {"H100": 989e12, "H200": 989e12, "A100": 312e12, "L40S": 362e12}  # bfloat16, dense, operations a second
BATCH_TOKENS = 16_384


def sizes(depth: int, length: int) -> lm_sizes.Sizes:
    config = TrainingSettings(depth, length, 1, 1, 1, LEARNING_RATE, 0.0, 0.3).llama(VOCABULARY)
    return lm_sizes.of(depth, config.hidden_size, config.head_dim, VOCABULARY, length, BATCH_TOKENS // length)


def compare(name: str, length: int) -> dict[str, Any]:
    model = sizes(DEPTHS[name], length)
    with tempfile.TemporaryDirectory() as folder:
        given = prepare(Path(folder), model, sum(RUN.values()), precision="bfloat16")
        peer = run_peer("train_torch_peer.py", PEERS, threads=0, precision="bfloat16", **RUN, **given)
    ours = train(model, **RUN, precision="bfloat16")
    rate = ours["tokens_per_second"] * settings(model, 1).llama(VOCABULARY).training_flops(length)
    sheet = next((found for card, found in SHEET.items() if card in jax.devices()[0].device_kind), float("nan"))
    return {
        "ours": ours["tokens_per_second"],
        "peer": peer["tokens_per_second"],
        "mfu_sheet": rate / sheet,
        "mfu_measured": rate / device_rate("bfloat16"),
        "losses": agreement(ours["losses"], peer["losses"]),
    }


def main() -> None:
    if jax.default_backend() != "gpu":
        raise SystemExit(
            f"train_gpu needs an NVIDIA GPU and jax[cuda13]; this machine's backend is {jax.default_backend()}"
        )
    found = {f"{name}, {length}": compare(name, length) for name in DEPTHS for length in (2048, 4096)}
    first = found["400m, 2048"]
    print_result(first["ours"], first["peer"], device=jax.devices()[0].device_kind, all=found)


if __name__ == "__main__":
    main()
