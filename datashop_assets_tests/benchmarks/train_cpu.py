"""Tokens a second of the demo's model in training, one thread, against the same model in torch with one thread.

Both begin with the same weights, read the same batch and have the same learning rates, so that their losses must agree
(`losses`). One thread, because the demo trains a seed a core. `torch_all_threads` is torch with one model on all cores.
"""

import tempfile
from pathlib import Path

from datashop_assets_tests.benchmarks.lm_sizes import DEMO
from datashop_assets_tests.benchmarks.sides import PEERS, print_result, run_peer
from datashop_assets_tests.benchmarks.training_here import agreement, prepare, train

RUN = {"warmup": 10, "steps": 60}


def main() -> None:
    ours, peers = [], []
    with tempfile.TemporaryDirectory() as folder:
        given = {**RUN, "precision": "float32", **prepare(Path(folder), DEMO, sum(RUN.values()))}
        for _ in range(2):  # in turn, the better of two for each
            ours.append(train(DEMO, **RUN))
            peers.append(run_peer("train_torch_peer.py", PEERS, threads=1, **given))
        every = run_peer("train_torch_peer.py", PEERS, threads=0, **given)
    best, peer = (max(found["tokens_per_second"] for found in side) for side in (ours, peers))
    print_result(
        round(best),
        round(peer),
        unit="tokens a second and core",
        torch_all_threads=round(every["tokens_per_second"]),
        losses=agreement(ours[0]["losses"], peers[0]["losses"]),
    )


if __name__ == "__main__":
    main()
