"""The other side of `encode_transformer`: sentence-transformers with torch, as its users run it."""

import json
import time
from pathlib import Path

import numpy as np

from datashop_assets_tests.benchmarks.sides import arguments


def main() -> None:
    import torch
    from sentence_transformers import SentenceTransformer

    said = arguments()
    texts = json.loads(Path(said["texts"]).read_text())
    model = SentenceTransformer(said["model"], device="cuda" if torch.cuda.is_available() else "cpu")
    model.max_seq_length = said["longest"]
    model.encode(texts[:32], show_progress_bar=False)
    begun, worked = time.perf_counter(), time.process_time()
    vectors = model.encode(texts, batch_size=32, normalize_embeddings=True, show_progress_bar=False)
    seconds, processor = time.perf_counter() - begun, time.process_time() - worked
    np.save(said["vectors"], vectors)
    print(json.dumps({"seconds": seconds, "processor_seconds": processor}))


if __name__ == "__main__":
    main()
