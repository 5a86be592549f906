"""A trained model as a folder that Hugging Face tools open, one for every seed."""

from flax import nnx
from tokenizers import Tokenizer

from datashop_assets.models.llama import Llama, LlamaConfig
from datashop_assets.models.llama_weights import save_folder
from datashop_assets.stage import StageTask
from datashop_assets.trained_lm.loop import Trained


def seed_folder(seed: int) -> str:
    return f"seed-{seed}"


def export(task: StageTask, result: Trained, config: LlamaConfig, tokenizer: Tokenizer, separator: str) -> None:
    """Puts the folder into the stage. The separator stands at the begin of texts, and so at their end."""
    folder = task.output.scratch / "export" / seed_folder(result.seed)
    model = nnx.merge(nnx.graphdef(nnx.eval_shape(lambda: Llama(config, rngs=nnx.Rngs(0)))), result.weights)
    save_folder(model, folder, tokenizer, {"bos_token": separator, "eos_token": separator})
    for path in sorted(folder.iterdir()):
        task.output.put_file(f"{seed_folder(result.seed)}/{path.name}", path)
