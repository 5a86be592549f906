"""The peer of `train_cpu` and `train_gpu`: the same Llama in torch, trained the same way. Run by them.

Attention is `scaled_dot_product_attention`, the optimizer fused AdamW, gradients clipped to one; on a GPU everything is
compiled. Rows are random tokens with documents of 100 tokens that do not see each other, as on the other side.
"""

import contextlib
import json
import time
from collections.abc import Mapping

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - torch's own custom

from datashop_assets_tests.benchmarks.sides import arguments


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
        nn.init.normal_(self.embed.weight, std=0.02)
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


def _rotate(x: torch.Tensor, cosines: torch.Tensor, sines: torch.Tensor) -> torch.Tensor:
    first, second = x.chunk(2, -1)
    return x * cosines + torch.cat([-second, first], -1) * sines


def main() -> None:
    given = arguments()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if given["threads"]:
        torch.set_num_threads(given["threads"])
    torch.manual_seed(0)
    sizes, model = given["sizes"], Llama(given["sizes"]).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=given["learning_rate"], betas=(0.9, 0.95), fused=True)
    loss_of = torch.compile(model) if device == "cuda" else model
    half = torch.autocast(device, torch.bfloat16) if given["precision"] == "bfloat16" else contextlib.nullcontext()
    tokens = torch.randint(1, sizes["vocabulary"], (sizes["batch"], sizes["length"] + 1), device=device)
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
        optimizer.step()
        losses.append(loss.detach())
    seconds = _now(device) - begun
    done = given["steps"] * sizes["batch"] * sizes["length"]
    first, last = float(losses[0]), float(losses[-1])
    print(json.dumps({"tokens_per_second": done / seconds, "first_loss": first, "last_loss": last}))


def _now(device: str) -> float:
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


if __name__ == "__main__":
    main()
