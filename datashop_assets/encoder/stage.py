"""The stages that train the small model and that embed the pool once for all prompts that score by vectors."""

from typing import Any

from datashop_assets.encoder.base_model import fingerprint
from datashop_assets.graph.stage import Stage
from datashop_assets.prompts.prompt import Prompt


def _model(prompt: Prompt) -> dict[str, Any]:
    """What tells that the pretrained model has changed, for kinds that begin with one."""
    match prompt.encoder.kind:
        case "transformer":
            return {"fingerprint": fingerprint(prompt.encoder.transformer.model)}
        case "static":
            return {"fingerprint": fingerprint(prompt.encoder.static.model)}
    return {}


def _encoder(prompt: Prompt) -> dict[str, Any]:
    return {
        **prompt.encoder.config(),
        **_model(prompt),
        "read_characters": prompt.annotator.read_characters,
        "reading": prompt.annotator.reading,
        "gold": list(prompt.evaluation.gold),
        "gold_uri": prompt.pretraining_pool.uri,
    }


def _embeddings(prompt: Prompt) -> dict[str, Any]:
    """Depends on the embedding and on what is read of a text, on nothing else of the prompt."""
    if prompt.encoder.kind != "static":
        return {"asked": False}
    model = prompt.encoder.static.model
    read = {"read_characters": prompt.annotator.read_characters, "reading": prompt.annotator.reading}
    return {"asked": True, "model": model, "fingerprint": fingerprint(model), **read}


POOL_EMBEDDINGS = Stage(
    "pool_embeddings",
    code_version="1",
    inputs=("pretraining_pool",),
    config=_embeddings,
    build="datashop_assets.encoder.embeddings:build",
)
ENCODER = Stage(
    "encoder",
    code_version="4",
    inputs=("training_set", "pretraining_pool"),
    config=_encoder,
    build="datashop_assets.encoder.build:build",
)
