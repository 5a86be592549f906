"""What the log of a run says of each seed while it trains: a line now and then, and one at its end.

Dagster shows the logger `datashop` in a run's events (`python_logs` in its settings); `RayTrainer` sends it what
workers say.
"""

import logging
import time

from datashop_assets.trained_lm.checkpoints import History
from datashop_assets.trained_lm.settings import TrainingSettings

LOGGER = "datashop.training"
EVERY = 30.0  # seconds


class Journal:
    """Of one seed, which begins with `resumed` steps done."""

    def __init__(self, seed: int, settings: TrainingSettings, resumed: int) -> None:
        self._seed, self._settings, self._said = seed, settings, time.monotonic()
        if resumed:
            logging.getLogger(LOGGER).info("seed %d goes on after step %d", seed, resumed)

    def look(self, history: History) -> None:
        """history [steps taken, 2]: loss and seconds of each."""
        done, now = len(history), time.monotonic()
        if done < self._settings.steps and now - self._said < EVERY:
            return
        self._said = now
        loss, seconds = history[-10:].mean(axis=0)
        logging.getLogger(LOGGER).info(
            "seed %d: step %d of %d, loss %.4f nats a token, %.0f tokens a second",
            self._seed,
            done,
            self._settings.steps,
            loss,
            self._settings.batch * self._settings.length / max(seconds, 1e-9),
        )
