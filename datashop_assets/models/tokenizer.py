"""A byte-level byte-pair tokenizer, trained on documents that the control may learn from.

Byte level, so that every text can be written and no token is unknown. Learning 1,024 tokens from 4 million characters
takes about a second; a larger vocabulary reads more, 4,000 characters a token.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

END = "<|endoftext|>"  # stands before every document
CHARACTERS_A_TOKEN = 4_000
BATCH = 512  # texts encoded at once: tokenizers then uses all cores


def train_tokenizer(texts: Iterable[str], vocabulary: int) -> Tokenizer:
    """A tokenizer of exactly `vocabulary` tokens, `END` among them.

    Byte-pair encoding after Sennrich et al. (2016, arXiv:1508.07909) over bytes, split as in GPT-2.
    Raises `ValueError` where the texts do not hold that many different pieces.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[END],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    if (size := tokenizer.get_vocab_size()) != vocabulary:
        raise ValueError(
            f"training.vocabulary is {vocabulary}, but the pool's texts give only {size} tokens; "
            f"set training.vocabulary to {size} or fewer, or give a larger pool"
        )
    return tokenizer


def encode(tokenizer: Tokenizer, texts: Iterable[str]) -> Iterator[np.ndarray]:
    """The tokens of each text, in order, as int32 [tokens]. `END` written out in a text is text like any other."""
    tokenizer.encode_special_tokens = True
    texts = iter(texts)
    while batch := list(islice(texts, BATCH)):
        for encoding in tokenizer.encode_batch_fast(batch, add_special_tokens=False):
            yield np.asarray(encoding.ids, dtype=np.int32)


def end_token(tokenizer: Tokenizer, separator: str = END) -> int:
    """The id of the separator. Raises `ValueError` for a tokenizer that has none."""
    if (token := tokenizer.token_to_id(separator)) is None:
        raise ValueError(f"tokenizer.json has no {separator!r} token; make pool_tokens again")
    return int(token)


def bytes_of(texts: Sequence[str]) -> list[int]:
    """UTF-8 bytes of each text: what bits are divided by."""
    return [len(text.encode()) for text in texts]
