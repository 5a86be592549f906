"""MiniLM at 512 tokens: our scorer against sentence-transformers with torch, the same texts and weights.

Texts are those of the embedded pool, joined up to lengths spread as a web pool's are (a quarter fill all 512 tokens).
Both sides tokenize, batch, run the network and pool; both give embeddings of length 1, compared to 1e-4. Each side is
timed three times, alternating, and its best time counts. `matmul_share` is what our side reaches of the rate at which
this machine multiplies square matrices in the same precision. Where JAX finds a GPU, our side runs there, and the peer
where torch finds one (not tried: none was at hand). Run as `python -m
datashop_assets_tests.benchmarks.encode_transformer [documents]`.
"""

import sys
import tempfile
import time
from pathlib import Path

import jax
import numpy as np
import orjson

from datashop_assets.data_packages import installed_data
from datashop_assets.encoder_kinds.kinds import pretrained_folder
from datashop_assets.encoder_kinds.transformer import embedder
from datashop_assets.models.bert.weights import load_bert
from datashop_assets.models.sharding import workers
from datashop_assets.prompts.encoder_settings import MINILM
from datashop_assets.trained_lm.training import device_rate
from datashop_assets_tests.benchmarks.documents import embedded_rows
from datashop_assets_tests.benchmarks.sides import PEERS, print_result, run_peer

LONGEST = 512
ROUNDS = 3


def texts_of(cache: Path, documents: int) -> list[str]:
    """Texts of log-normal length, 1,200 characters in the middle, cut from the pool's documents laid end to end."""
    everything = "\n".join(row["text"] for row in embedded_rows(cache))
    random = np.random.default_rng(0)
    sizes = np.clip(random.lognormal(np.log(1200), 0.9, documents), 40, 20_000).astype(int)
    starts = random.integers(0, len(everything) - 20_000, documents)
    return [everything[start : start + size] for start, size in zip(starts, sizes, strict=True)]


def matmul_rate() -> float:
    """Operations a second of float32 products, on all cores or on one accelerator."""
    with jax.default_matmul_precision("highest"):
        return device_rate("float32") * workers()


def main(documents: int) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = pretrained_folder(MINILM, Path(scratch), installed_data())
        texts = texts_of(Path(scratch) / "cache", documents)
        bert = load_bert(folder)
        running = embedder(bert, LONGEST)
        running.embed(bert.tokenize(texts[:32], LONGEST))
        told = Path(scratch) / "texts.json"
        told.write_bytes(orjson.dumps(texts))
        where = {"model": str(folder), "texts": str(told), "longest": LONGEST, "vectors": f"{scratch}/torch.npy"}
        ours, theirs, vectors, tokens = [], [], np.zeros(0), 0
        for _ in range(ROUNDS):
            begun, worked = time.perf_counter(), time.process_time()
            listed = bert.tokenize(texts, LONGEST)
            vectors = running.embed(listed)
            ours.append((time.perf_counter() - begun, time.process_time() - worked))
            peer = run_peer("encode_transformer_peer.py", PEERS, **where)
            theirs.append((peer["seconds"], peer["processor_seconds"]))
            tokens = sum(map(len, listed))
        vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        work = sum(bert.config.flops(len(one)) for one in listed)
        difference = float(np.abs(vectors - np.load(where["vectors"])).max())
    if difference > 1e-4:
        raise SystemExit(f"embeddings differ by {difference}")
    (our_seconds, our_work), (their_seconds, their_work) = (np.min(side, axis=0) for side in (ours, theirs))
    print_result(
        tokens / our_seconds,
        tokens / their_seconds,
        unit="tokens a second, tokenization included, best of three",
        documents=documents,
        tokens=tokens,
        full_length=sum(len(one) == LONGEST for one in listed),
        device=jax.devices()[0].device_kind,
        matmul_share=work / our_seconds / matmul_rate(),
        documents_a_second={"ours": documents / our_seconds, "peer": documents / their_seconds},
        # on a machine that others use too, wall time is theirs as well
        processor_seconds={"ours": our_work, "peer": their_work},
        processor_ratio=their_work / our_work,
        largest_difference=difference,
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 150)
