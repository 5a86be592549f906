"""The peer of `filter_fasttext`: datatrove's reader, fastText filter and writer, one process, in `.venv-peers`."""

import json
import time

from datatrove.pipeline.filters import FastTextClassifierFilter
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers import JsonlWriter

from datashop_assets_tests.benchmarks.sides import arguments


def main() -> None:
    said = arguments()
    keep = (said["label"], said["threshold"])
    steps = (
        JsonlReader(said["pool"], glob_pattern="*.jsonl.zst", compression="zstd"),
        FastTextClassifierFilter(said["model"], keep_labels=keep, newline_replacement=" "),
        JsonlWriter(said["output"], output_filename="${rank}.jsonl.zst", compression="zstd"),
    )
    steps[1].model.predict("loaded before the clock starts")
    started, worked = time.perf_counter(), time.process_time()
    documents = None
    for step in steps:
        documents = step.run(documents, rank=0, world_size=1)
    kept = [document.id for document in documents]
    seconds, processor = time.perf_counter() - started, time.process_time() - worked
    print(json.dumps({"seconds": seconds, "processor_seconds": processor, "kept": kept}))


if __name__ == "__main__":
    main()
