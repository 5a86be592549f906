"""The bare vLLM engine on prompts that it is given; run in `.venv-vllm` by `annotate.py`."""

import json
import os
import sys
import time
from pathlib import Path

if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    os.environ.update({"VLLM_CPU_NUM_OF_RESERVED_CPU": "0", "VLLM_NO_USAGE_STATS": "1", "HF_HUB_OFFLINE": "1"})
    from vllm import LLM, SamplingParams

    llm = LLM(model=given["folder"], **given["engine"])
    sampling = SamplingParams(**given["sampling"], seed=0)
    texts = json.loads(Path(given["prompts"]).read_text())
    warm_up, prompts = (
        [[{"role": "user", "content": text}] for text in texts[name]] for name in ("warm_up", "prompts")
    )
    llm.chat(warm_up, sampling, use_tqdm=False)
    started = time.perf_counter()
    answers = llm.chat(prompts, sampling, use_tqdm=False)
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "tokens_out": sum(len(one.outputs[0].token_ids) for one in answers)}))
