"""The peer of `train_cpu` and `train_gpu`: the same Llama in torch, trained the same way. Run by them.

Attention is `scaled_dot_product_attention`, the optimizer fused AdamW, gradients clipped to one; on a GPU everything is
compiled. Weights to begin with, tokens and learning rates are those of the other side, and so are the rows of documents
of 100 tokens that do not see each other.
"""

import contextlib
import json
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional as F  # noqa: N812 - torch's own custom

from datashop_assets_tests.benchmarks.sides import arguments

PARTS = {
    "first": ("input_layernorm",),
    "second": ("post_attention_layernorm",),
    "qkv": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "out": ("self_attn.o_proj",),
    "gate_up": ("mlp.gate_proj", "mlp.up_proj"),
    "down": ("mlp.down_proj",),
}


class Layer(nn.Module):
    def __init__(self, width: int, hidden: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.first, self.second = nn.RMSNorm(width, 1e-5), nn.RMSNorm(width, 1e-5)
        self.qkv, self.out = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width, bias=False)
        self.gate_up, self.down = nn.Linear(width, 2 * hidden, bias=False), nn.Linear(hidden, width, bias=False)

    def forward(self, x: torch.Tensor, cosines: torch.Tensor, sines: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        rows, length, width = x.shape
        parts = self.qkv(self.first(x)).view(rows, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        query, key = (_rotate(part, cosines, sines) for part in (parts[0], parts[1]))
        mixed = F.scaled_dot_product_attention(query, key, parts[2], attn_mask=mask)
        x = x + self.out(mixed.transpose(1, 2).reshape(rows, length, width))
        gate, up = self.gate_up(self.second(x)).chunk(2, dim=-1)
        return x + self.down(F.silu(gate) * up)


class Llama(nn.Module):
    def __init__(self, sizes: Mapping[str, int]) -> None:
        super().__init__()
        self.head = sizes["width"] // sizes["heads"]
        self.embed = nn.Embedding(sizes["vocabulary"], sizes["width"])
        layer = (sizes["width"], sizes["hidden"], sizes["heads"])
        self.layers = nn.ModuleList(Layer(*layer) for _ in range(sizes["depth"]))
        self.norm = nn.RMSNorm(sizes["width"], 1e-5)

    def forward(self, tokens: torch.Tensor, segments: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        """Mean loss in nats a token."""
        read = tokens[:, :-1]
        angles = positions[:, None, :, None] * 10_000.0 ** (
            -torch.arange(0, self.head, 2, device=read.device) / self.head
        )
        cosines, sines = (torch.cat([each, each], -1) for each in (angles.cos(), angles.sin()))
        causal = torch.ones(read.shape[1], read.shape[1], dtype=torch.bool, device=read.device).tril()
        mask = (causal & (segments[:, :, None] == segments[:, None, :]))[:, None]
        x = self.embed(read)
        for layer in self.layers:
            x = layer(x, cosines.to(x.dtype), sines.to(x.dtype), mask)
        logits = F.linear(self.norm(x), self.embed.weight)
        return F.cross_entropy(logits.float().flatten(0, 1), tokens[:, 1:].flatten().long())


def load(model: Llama, path: Path) -> None:
    """Weights by the names of `LlamaForCausalLM`; here query, key and value are one matrix, and so are gate and up."""
    tensors = load_file(path)

    def joined(layer: int, *names: str) -> torch.Tensor:
        return torch.cat([tensors[f"model.layers.{layer}.{name}.weight"] for name in names])

    found = {"embed.weight": tensors["model.embed_tokens.weight"], "norm.weight": tensors["model.norm.weight"]}
    for layer in range(len(model.layers)):
        found |= {f"layers.{layer}.{name}.weight": joined(layer, *theirs) for name, theirs in PARTS.items()}
    model.load_state_dict(found)


def _rotate(x: torch.Tensor, cosines: torch.Tensor, sines: torch.Tensor) -> torch.Tensor:
    first, second = x.chunk(2, -1)
    return x * cosines + torch.cat([-second, first], -1) * sines


def main() -> None:
    given = arguments()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if given["threads"]:
        torch.set_num_threads(given["threads"])
    sizes, folder, model = given["sizes"], Path(given["folder"]), Llama(given["sizes"])
    load(model, folder / "model.safetensors")
    model = model.to(device)
    decay = given["weight_decay"]
    optimizer = torch.optim.AdamW(model.parameters(), betas=(0.9, 0.95), weight_decay=decay, fused=True)
    loss_of = torch.compile(model) if device == "cuda" else model
    half = torch.autocast(device, torch.bfloat16) if given["precision"] == "bfloat16" else contextlib.nullcontext()
    tokens = torch.from_numpy(np.load(folder / "tokens.npy")).to(device)
    place = torch.arange(sizes["length"], device=device).expand(sizes["batch"], -1)
    losses, begun = [], 0.0
    for step in range(given["warmup"] + given["steps"]):
        if step == given["warmup"]:
            begun = _now(device)
        optimizer.zero_grad(set_to_none=True)
        with half:
            loss = loss_of(tokens, place // 100, place % 100)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.param_groups[0]["lr"] = given["learning_rates"][step]
        optimizer.step()
        losses.append(loss.detach())
    seconds = _now(device) - begun
    done = given["steps"] * sizes["batch"] * sizes["length"]
    print(json.dumps({"tokens_per_second": done / seconds, "losses": [float(loss) for loss in losses]}))


def _now(device: str) -> float:
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


if __name__ == "__main__":
    main()
