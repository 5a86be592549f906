"""Ten prompts over one pool: one embedding and ten heads, against ten runs that each embed the pool.

Both sides read the embedded pool, learn ten topics of its gold from 600 documents each, and score every document. The
side with one embedding pays for it once; scores of both are the same. Run as
`python -m datashop_assets_tests.benchmarks.many_prompts`.
"""

import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datashop_assets.data_packages import installed_data
from datashop_assets.documents.embedded import load_gold
from datashop_assets.documents.pool import pool_shards, read_pool
from datashop_assets.encoder.results import PoolEmbeddingsConfig, pool_vectors
from datashop_assets.encoder.steps import pool_embeddings
from datashop_assets.encoder_kinds.kinds import pretrained_folder
from datashop_assets.encoder_kinds.static import StaticKind, VectorEncoder
from datashop_assets.prompts.encoder_settings import MINILM
from datashop_assets.protocols.encoder import Labelled
from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets_tests.benchmarks.sides import print_result
from datashop_assets_tests.filtered_pool.pools import gold_pool
from datashop_assets_tests.stages import run_step

PROMPTS, LABELS = 10, 600
CONFIG = PoolEmbeddingsConfig(model=MINILM, fingerprint=MINILM, read_characters=500, reading="head")


def embedded(root: Path, name: str, pool: StageFolder) -> StageFolder:
    return run_step(pool_embeddings, root, CONFIG, [pool], name=name)


def learnt(root: Path, sample: list[tuple[str, str]], topic: str) -> VectorEncoder:
    """A head for one topic. The sample is the same for all: a prompt's own labels are what differs."""
    labels = [int(label == topic) for _, label in sample]
    ones = [1] * len(sample)
    told = Labelled([text for text, _ in sample], labels, [1.0] * len(sample), ones)
    kind = StaticKind(pretrained_folder(MINILM, root / "cache", installed_data()), words=False)
    encoder = kind.fit(told, seed=0, folder=root / "heads" / topic)
    assert isinstance(encoder, VectorEncoder)
    return encoder


def scored(encoder: VectorEncoder, vectors: StageFolder, shards: list[str]) -> NDArray[np.float64]:
    return np.concatenate([encoder.margin_of(pool_vectors(vectors, shard)) for shard in shards])


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        pool = gold_pool(root)
        shards = pool_shards(pool)
        gold = load_gold(root / "cache", installed_data(), "embedded")
        texts = [document for shard in shards for _, document in read_pool(pool, shard) if document.id in gold]
        order = np.random.default_rng(0).permutation(len(texts))[:LABELS]
        sample = [(texts[place].text[:500], gold[texts[place].id]) for place in order]
        counts = {topic: sum(label == topic for _, label in sample) for _, topic in sample}
        topics = sorted(counts, key=lambda topic: (-counts[topic], topic))[:PROMPTS]
        begun = time.perf_counter()
        vectors = embedded(root, "shared", pool)
        together = time.perf_counter() - begun
        apart, difference = 0.0, 0.0
        for number, topic in enumerate(topics):
            begun = time.perf_counter()
            margins = scored(learnt(root, sample, topic), vectors, shards)
            together += time.perf_counter() - begun
            begun = time.perf_counter()
            own = embedded(root, f"own-{number}", pool)
            alone = scored(learnt(root, sample, topic), own, shards)
            apart += time.perf_counter() - begun
            difference = max(difference, float(np.abs(margins - alone).max()))
    print_result(
        PROMPTS / together,
        PROMPTS / apart,
        unit="prompts a second: embedding, head and scores",
        documents=len(margins),
        prompts=len(topics),
        seconds={"ours": together, "peer": apart},
        largest_difference=difference,
    )


if __name__ == "__main__":
    main()
