"""A trained model as a folder that Hugging Face tools open, one for every seed."""

from pathlib import Path

from flax import nnx
from tokenizers import Tokenizer

from datashop_assets.core.step import OpenRun
from datashop_assets.models.llama.model import Llama, LlamaConfig
from datashop_assets.models.llama.weights import save_folder
from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets.trained_lm.loop import Trained

SEED = "seed-"


def seed_folder(seed: int) -> str:
    return f"{SEED}{seed}"


def seeds_of(folder: StageFolder) -> list[int]:
    """The seeds whose models a stage holds, in order."""
    names = {file.name.partition("/")[0] for file in folder.manifest.files if "/" in file.name}
    return sorted(int(name.removeprefix(SEED)) for name in names)


def model_folder(folder: StageFolder, seed: int) -> Path:
    """A local folder with one seed's model, every file checked."""
    name = seed_folder(seed)
    return folder.files(f"{name}/")[f"{name}/config.json"].parent


def export(run: OpenRun, result: Trained, config: LlamaConfig, tokenizer: Tokenizer, separator: str) -> None:
    """Puts the folder into the stage. The separator stands at the begin of texts, and so at their end."""
    folder = run.output.scratch / "export" / seed_folder(result.seed)
    model = nnx.merge(nnx.graphdef(nnx.eval_shape(lambda: Llama(config, rngs=nnx.Rngs(0)))), result.weights)
    save_folder(model, folder, tokenizer, {"bos_token": separator, "eos_token": separator})
    for path in sorted(folder.iterdir()):
        run.output.put_file(f"{seed_folder(result.seed)}/{path.name}", path)
