"""How much effort a document is worth before it ends as `failed`."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Policy:
    """Times are in seconds."""

    attempts: int = 6  # a document
    deadline: float = 600.0  # a request; a 70B model under load takes a minute for 256 tokens
    patience: float = 300.0  # how long documents wait while no endpoint answers at all
    start: int = 8  # requests at a time to each endpoint, at first
    most: int = 256  # and at last; vLLM computes 256 together by default
    backoff: float = 0.5  # the first pause is up to this long, each further one up to twice as long
    longest_backoff: float = 30.0

    @property
    def slow(self) -> float:
        """An answer that takes this long is a push-back."""
        return self.deadline / 5
