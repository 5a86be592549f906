"""MB of text a second through our tokenizing, against Hugging Face tokenizers called plainly, one text at a time."""

import time
from collections.abc import Callable

from tokenizers import Tokenizer

from datashop_assets.models.tokenizer import encode, train_tokenizer
from datashop_assets.settings import read_settings
from datashop_assets.storage.root import default_root
from datashop_assets_tests.benchmarks.documents import embedded_rows
from datashop_assets_tests.benchmarks.sides import print_result

TRIES = 3


def main() -> None:
    texts = [str(row["text"]) for row in embedded_rows(default_root(read_settings()).cache)]
    tokenizer = train_tokenizer(texts[:2000], 1024)
    size = sum(len(text.encode()) for text in texts) / 1e6
    plainly = Tokenizer.from_str(tokenizer.to_str())
    plainly.encode_special_tokens = True
    some = texts[:200]
    assert [each.tolist() for each in encode(tokenizer, some)] == [plainly.encode(text).ids for text in some]
    ours = min(_seconds(lambda: sum(len(each) for each in encode(tokenizer, texts))) for _ in range(TRIES))
    peer = min(_seconds(lambda: sum(len(plainly.encode(text).ids) for text in texts)) for _ in range(TRIES))
    print_result(size / ours, size / peer, unit="MB of UTF-8 text a second", megabytes=size, documents=len(texts))


def _seconds(work: Callable[[], int]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
