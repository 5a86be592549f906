"""Documents a second: the step `annotations` over a vLLM server, and the embedded annotator, each beside its peer.

    python -m datashop_assets_tests.benchmarks.annotate [server] [embedded]

`server`: the step's own build with a vLLM server, against `vllm.LLM.chat` on the very prompts that the step sent, with
the same engine arguments. `embedded`: the embedded annotator against transformers' torch model on the same weights and
documents. Both sides load and warm up before the clock starts. The figures of the first part that is run stand at the
top of the last line.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from datashop_assets.annotations.results import AnnotationsConfig
from datashop_assets.annotations.steps import annotations
from datashop_assets.asking.final_scores import FinalScore
from datashop_assets.asking.replies import ProcessorConfig, WrittenParsing
from datashop_assets.core.step import Resources
from datashop_assets.orchestration import profiles
from datashop_assets.prompts.annotator_settings import AnnotationQuestionConfig, SamplingSettings, SecondRound
from datashop_assets.prompts.template import fill
from datashop_assets.protocols.annotator import AnnotationRequest, Question, Reading, Sampling
from datashop_assets.rubric.results import RubricConfig
from datashop_assets.rubric.steps import rubric
from datashop_assets.settings import read_settings
from datashop_assets.storage.digests import digest_of_bytes
from datashop_assets.storage.root import default_root
from datashop_assets_tests.benchmarks.documents import embedded_rows
from datashop_assets_tests.benchmarks.sides import PEERS, VLLM, print_result, run_peer
from datashop_assets_tests.small import LIKELIHOOD
from datashop_assets_tests.stages import run_step, stage_of_rows
from resources.annotator.embedded import EmbeddedAnnotator
from resources.annotator.names import SMALL, embedded_weights
from resources.annotator.resource import AnnotatorResource
from resources.annotator.vllm.weights import exported_folder

ASKED, WARM_UP = 160, 16  # documents
CHARACTERS = 500
CONTEXT, TOKENS = 1024, 32
TOGETHER = {"max_num_seqs": 128, "max_num_batched_tokens": 2048}
RUBRIC = "Score this text from 0 to 5 for its use in studying mathematics. Say why.\n\n{example}\n\nFinal score: N"
SAMPLE = {"id": pl.String, "text": pl.String, "source": pl.String, "content": pl.String}


class OnceOnly(FinalScore):
    """Gives no reply a second try: the bare engine is asked once, too."""

    answers: Sequence[str] = ()


def texts(cache: Path) -> list[str]:
    """Documents spread over the embedded pool, as the demo has them."""
    found = [str(row["text"]) for row in embedded_rows(cache)]
    return found[:: len(found) // (ASKED + WARM_UP)][: ASKED + WARM_UP]


def server_side(root: Path, cache: Path, chosen: Sequence[str]) -> dict[str, Any]:
    """The step over a vLLM server, then the bare engine on the prompts that the step sent."""
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "2")
    options = [f"--{name.replace('_', '-')}={value}" for name, value in TOGETHER.items()]
    arguments = " ".join(["--enforce-eager", *options])  # compiling takes two minutes a side here
    os.environ |= {"DATASHOP_VLLM_ARGUMENTS": arguments, "DATASHOP_VLLM_MAX_MODEL_LEN": str(CONTEXT)}
    os.environ["DATASHOP_ANNOTATOR"] = "server"
    annotator = profiles.annotator(read_settings()).saying(lambda line: print(line, file=sys.stderr))
    try:
        annotate(root / "warm-up", annotator, chosen[ASKED:])
        seconds, rows = annotate(root / "timed", annotator, chosen[:ASKED])
    finally:
        annotator.close()
    print(f"the step over a server: {ASKED} documents in {seconds:.1f} s", file=sys.stderr)
    warm_up = [fill(RUBRIC, text[:CHARACTERS]) for text in chosen[ASKED:]]
    peer = run_peer(
        "annotate_vllm_peer.py",
        VLLM,
        folder=str(exported_folder(embedded_weights(), cache)),
        prompts=written(root, warm_up, [fill(RUBRIC, row["text"]) for row in rows]),
        sampling={"temperature": 0.0, "max_tokens": TOKENS},
        engine={
            "max_model_len": CONTEXT,
            "dtype": "float32",
            "enforce_eager": True,
            "enable_prefix_caching": True,
            "enable_chunked_prefill": False,
            **TOGETHER,
        },
    )
    tokens = {"tokens_out": sum(row["tokens_out"] for row in rows), "peer_tokens_out": peer["tokens_out"]}
    return {"ours": ASKED / seconds, "peer": ASKED / peer["seconds"], **tokens}


def annotate(root: Path, annotator: AnnotatorResource, chosen: Sequence[str]) -> tuple[float, list[dict[str, Any]]]:
    """Seconds that the annotations stage took, and its rows."""
    rows = [
        {"id": str(place), "text": text, "source": "pool", "content": digest_of_bytes(text.encode())}
        for place, text in enumerate(chosen)
    ]
    sample = stage_of_rows(root, "annotation_sample", {"sample.parquet": rows}, SAMPLE)
    inputs = [sample, run_step(rubric, root, RubricConfig(text=RUBRIC))]
    question = AnnotationQuestionConfig(
        model="smollm2-135m-instruct",
        revision="",
        scoring="generate",
        sampling=SamplingSettings(temperature=0.0, max_tokens=TOKENS),
        read_characters=CHARACTERS,
        reading="head",
    )
    processor = ProcessorConfig(type=f"{OnceOnly.__module__}:OnceOnly", options={}, version="1")
    config = AnnotationsConfig(
        question=question,
        parsing=WrittenParsing(processor=processor),
        documents=len(chosen),
        second_round=SecondRound(documents=0, strata=2),
        cascade=None,
    )
    started = time.perf_counter()
    made = run_step(annotations, root, config, inputs, resources=Resources(annotator=annotator))
    return time.perf_counter() - started, list(made.all_rows())


def embedded_side(root: Path, cache: Path, chosen: Sequence[str]) -> dict[str, Any]:
    """The embedded annotator, then torch on the same conversations."""
    question = Question(
        model="smollm2-135m-instruct",
        revision="",
        scoring="likelihood",
        prompt=str(LIKELIHOOD["question"]),
        answer_begins=str(LIKELIHOOD["answer_begins"]),
        options=("mathematics", "history", "biology", "computers"),
        sampling=Sampling(),
        reading=Reading(CHARACTERS),
    )
    annotator = EmbeddedAnnotator()
    asked = [AnnotationRequest(str(place), text, "pool") for place, text in enumerate(chosen)]
    list(annotator.answer(asked[ASKED:], question))
    started = time.perf_counter()
    answers = list(annotator.answer(asked[:ASKED], question))
    seconds = time.perf_counter() - started
    print(f"the embedded annotator: {ASKED} documents in {seconds:.1f} s", file=sys.stderr)
    warm_up = [fill(question.prompt, text[:CHARACTERS]) for text in chosen[ASKED:]]
    peer = run_peer(
        "annotate_torch_peer.py",
        PEERS,
        folder=str(exported_folder(embedded_weights(), cache)),
        prompts=written(root, warm_up, [fill(question.prompt, answer.text) for answer in answers]),
        begins=question.answer_begins,
        options=question.options,
    )
    ours = [list((answer.probabilities or {}).values()) for answer in answers]
    pairs = zip(ours, peer["probabilities"], strict=True)
    apart = max(abs(a - b) for mine, theirs in pairs for a, b in zip(mine, theirs, strict=True))
    return {
        "ours": ASKED / seconds,
        "peer": ASKED / peer["seconds"],
        "batch": peer["batch"],
        "largest_difference": apart,
    }


def written(root: Path, warm_up: Sequence[str], prompts: Sequence[str]) -> str:
    """The path of a file that holds them: together they are more than a command line takes."""
    file = root / "prompts.json"
    file.write_text(json.dumps({"warm_up": warm_up, "prompts": prompts}))
    return str(file)


def main(parts: Sequence[str]) -> None:
    cache = default_root(read_settings()).cache
    with tempfile.TemporaryDirectory() as folder:
        chosen = texts(cache)
        sides = {
            "server": lambda: server_side(Path(folder), cache, chosen),
            "embedded": lambda: embedded_side(Path(folder), cache, chosen),
        }
        found = {part: sides[part]() for part in parts or list(sides)}
    for figures in found.values():
        figures["ratio"] = figures["ours"] / figures["peer"]
    first = next(iter(found.values()))
    print_result(first["ours"], first["peer"], model=SMALL.name, documents=ASKED, cores=os.cpu_count(), **found)


if __name__ == "__main__":
    main(sys.argv[1:])
