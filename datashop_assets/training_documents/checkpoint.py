"""A checkpoint to train on from: its sizes, its tokenizer, the token that stands before a document, its weights."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flax import nnx
from tokenizers import Tokenizer

from datashop_assets.models.llama.gguf_file import GGUF
from datashop_assets.models.llama.model import Llama, LlamaConfig
from datashop_assets.models.llama.weights import folder_config, load_folder
from datashop_assets.models.tokenizer import END
from datashop_assets.training_documents.settings import checkpoint_path

SEPARATORS = ("eos_token", "bos_token")  # of tokenizer_config.json, in the order in which they are taken


@dataclass(frozen=True)
class Start:
    """A Hugging Face folder of a Llama, or a GGUF file of one."""

    path: Path

    @classmethod
    def named(cls, name: str, data: Path) -> "Start":
        """Of the data packages in `data`, or a folder. Raises `ValueError` for a name that is neither."""
        return cls(checkpoint_path(name, data))

    @property
    def is_gguf(self) -> bool:
        return self.path.is_file()

    def config(self) -> LlamaConfig:
        return GGUF(self.path).config() if self.is_gguf else folder_config(self.path)

    def tokenizer(self) -> Tokenizer:
        """Raises `ValueError` where there is none, or it has a token beyond the model's embeddings."""
        tokenizer = GGUF(self.path).tokenizer() if self.is_gguf else self._folder_tokenizer()
        size, rows = 1 + max(tokenizer.get_vocab().values()), self.config().vocab_size
        if size > rows:
            raise ValueError(
                f"{self.path}: the tokenizer has {size} tokens and the model {rows} embeddings; training.anneal_from "
                "needs the tokenizer that this checkpoint was trained with"
            )
        return tokenizer

    def check(self, tokenizer: Tokenizer, length: int) -> None:
        """Raises `ValueError` where documents were tokenized by another tokenizer, and where rows of `length` tokens
        are longer than what the checkpoint reads, and its users would read, at once.
        """
        if self.tokenizer().get_vocab() != tokenizer.get_vocab():
            raise ValueError(
                f"pool_tokens was made by another tokenizer than that of {self.path}; "
                "materialize pool_tokens for this prompt again"
            )
        if length > (most := self.config().max_position_embeddings):
            raise ValueError(
                f"training.length is {length}, and the checkpoint's max_position_embeddings {most}; lower it to that "
                "or less"
            )

    def separator(self, tokenizer: Tokenizer) -> str:
        """The token that stands before every document. Raises `ValueError` where the tokenizer names none."""
        if tokenizer.token_to_id(END) is not None:
            return END
        file = self.path / "tokenizer_config.json"
        named = json.loads(file.read_text()) if file.exists() else {}
        found = [one["content"] if isinstance(one, dict) else one for one in map(named.get, SEPARATORS) if one]
        if not found or tokenizer.token_to_id(found[0]) is None:
            raise ValueError(
                f"{self.path}: neither {END!r} is a token, nor does tokenizer_config.json name an eos_token that is; "
                "training.anneal_from needs a checkpoint whose tokenizer can mark where a document begins"
            )
        return str(found[0])

    def model(self) -> Llama:
        model: Llama = GGUF(self.path).model() if self.is_gguf else load_folder(self.path)
        return model

    def weights(self) -> Any:
        """The nnx state of `Llama`."""
        return nnx.state(self.model(), nnx.Param)

    def _folder_tokenizer(self) -> Tokenizer:
        if not (file := self.path / "tokenizer.json").exists():
            raise ValueError(f"{self.path} has no tokenizer.json; training.anneal_from needs the checkpoint's own")
        tokenizer = Tokenizer.from_file(str(file))
        tokenizer.no_truncation()  # a folder keeps how texts were last cut and filled up
        tokenizer.no_padding()
        return tokenizer
