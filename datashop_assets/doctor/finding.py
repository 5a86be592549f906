"""What one look found."""

from dataclasses import dataclass
from typing import Literal

State = Literal["good", "note", "bad"]


@dataclass(frozen=True)
class Finding:
    """`mend` is empty where nothing is to be done. A run would fail where `state` is `bad`."""

    name: str
    state: State
    says: str
    mend: str = ""
