"""Tokens a second of the demo's model in training, one thread, against the same model in torch with one thread.

One thread, because the demo trains a seed a core. `torch_all_threads` is torch with one model on all cores.
"""

from datashop_assets_tests.benchmarks.lm_sizes import DEMO
from datashop_assets_tests.benchmarks.sides import PEERS, print_result, run_peer
from datashop_assets_tests.benchmarks.training_here import LEARNING_RATE, tokens_per_second

RUN = {"warmup": 10, "steps": 60}


def main() -> None:
    given = {**RUN, "sizes": DEMO, "precision": "float32", "learning_rate": LEARNING_RATE}
    ours, peers = [], []
    for _ in range(2):  # in turn, the better of two for each
        ours.append(tokens_per_second(DEMO, **RUN))
        peers.append(run_peer("train_torch_peer.py", PEERS, threads=1, **given))
    every = run_peer("train_torch_peer.py", PEERS, threads=0, **given)
    best, peer = (max(found["tokens_per_second"] for found in side) for side in (ours, peers))
    sides = {"ours": ours[0], "peer": peers[0]}
    print_result(
        round(best),
        round(peer),
        unit="tokens a second and core",
        torch_all_threads=round(every["tokens_per_second"]),
        losses={name: [side["first_loss"], side["last_loss"]] for name, side in sides.items()},
    )


if __name__ == "__main__":
    main()
