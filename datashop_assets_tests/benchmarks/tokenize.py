"""MB of text a second through our tokenizing, against Hugging Face tokenizers called plainly, one text at a time."""

import time
from collections.abc import Callable

from tokenizers import Tokenizer

from datashop_assets.protocols.documents import Document
from datashop_assets.sources.embedded import DOCUMENTS, embedded_pool
from datashop_assets.sources.files import find_source_files
from datashop_assets.sources.readers import fields_of, read_documents
from datashop_assets.storage.root import default_root
from datashop_assets.trained_lm.tokenizer import encode, train_tokenizer
from datashop_assets_tests.benchmarks.sides import print_result

FIELDS = {"text_field": "text", "id_field": "id", "source_field": "source"}
TRIES = 3


def main() -> None:
    folder = embedded_pool(default_root().cache) / DOCUMENTS
    files = find_source_files(str(folder))
    rows = (found for file in files for found in read_documents(file, fields_of(FIELDS)))
    texts = [found.text for found in rows if isinstance(found, Document)]
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
