"""What a request can end in, other than an answer, and what may be done about it."""

import re

SAID = 300  # characters of a server's own words that go into a reason
LENGTH = re.compile(r"context.length|context_length|maximum.{0,20}length|max_model_len|too (long|many tokens)", re.I)
FILTERED = re.compile(r"content_filter|content_policy|responsible_ai", re.I)
NUMBER = re.compile(r"\b\d{4,9}\b")


class Failure(Exception):  # noqa: N818, what is below it are ends of a request, not errors of this program
    """`reason` names what happened in words that a person can act on."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class TryAgain(Failure):
    """Worth another attempt, here or elsewhere, after the `wait` seconds that the server asked for.

    `busy`: the server pushed back, and should get fewer requests at a time.
    """

    def __init__(self, reason: str, wait: float = 0.0, *, busy: bool = False) -> None:
        super().__init__(reason)
        self.wait, self.busy = wait, busy


class TooLong(Failure):
    """The model takes less than was sent."""

    def share(self) -> float:
        """How much of it the model takes, as far as the server's words say: largest context over largest request."""
        numbers = sorted(int(number) for number in NUMBER.findall(self.reason))
        return max(0.1, min(0.9, 0.95 * numbers[0] / numbers[-1])) if len(numbers) > 1 else 0.7


class Filtered(Failure):
    """The server will not have this document."""


class Rejected(Failure):
    """This request will fail wherever it is sent again."""


class Unusable(Failure):
    """This endpoint will fail whatever is sent to it: no permission, no such model, no such address."""


class Nobody(Failure):
    """No endpoint is there to ask."""


def of_status(status: int, body: str, wait: float) -> Failure:
    """The failure that an HTTP status other than 200 stands for."""
    said = f"status {status}: {' '.join(body.split())[:SAID]}"
    if status in (400, 413, 422):
        if FILTERED.search(body):
            return Filtered(said)
        return TooLong(said) if status == 413 or LENGTH.search(body) else Rejected(said)
    if status in (408, 425, 429) or status >= 500:
        return TryAgain(said, wait, busy=status in (408, 429, 503))
    return Unusable(f"{said}; {MENDS.get(status, 'check the address')}")


MENDS = {
    401: "set DATASHOP_ANNOTATOR_KEY to a key that is valid there",
    403: "set DATASHOP_ANNOTATOR_KEY to a key that may use this model",
    404: "check the address and that this model is served there",
}
