"""The encoder as an ONNX graph for CPUs, built from the weights without torch, and run by onnxruntime.

On two AVX-512 cores onnxruntime sustains 200 GFLOP/s on MiniLM where XLA multiplies matrices at 95 to 120, for its
kernels are fused: attention, skip and layer normalisation, bias and GELU. Documents of equal length form a batch, so
nothing is padded; only local layers mask, which see blocks of a window's size and their neighbours. Its answers differ
from torch's by 3e-7.

The graph names its weights and does not hold them: a protobuf ends at 2 GB, which 540 million weights fill.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from datashop_assets.machine import cores
from datashop_assets.models.bert.config import BertConfig, Rotary
from datashop_assets.models.bert.model import MASKED, Bert
from datashop_assets.models.bert.names import GATE, INNER, KEY, QUERY, VALUE, unstacked

TOKENS = 2048  # in a batch: less leaves matrices too small, more leaves the cache (8,800 to 9,100 tokens/s between)
FUSED = "com.microsoft"
TURNS = ("cosines", "sines")
INLINE = 1024  # bytes: axes and bounds, which onnxruntime looks at when it optimizes, are held by the graph
Array = NDArray[np.float32]


class OnnxEmbedder:
    """Pooled hidden states of token lists on the CPU."""

    def __init__(self, bert: Bert, threads: int | None = None) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or cores()
        graph = OnnxGraph(bert)
        model = graph.model().SerializeToString()
        self._weights = graph.weights  # which the session reads where they are
        options.add_external_initializers(list(self._weights), list(self._weights.values()))
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self._width = bert.config.hidden_size

    def embed(self, documents: Sequence[Sequence[int]]) -> Array:
        """Token lists -> [documents, D] float32."""
        embeddings = np.zeros((len(documents), self._width), dtype=np.float32)
        for places in batches_of_one_length([len(one) for one in documents]):
            tokens = np.array([documents[place] for place in places], dtype=np.int64)
            embeddings[places] = self._session.run(None, {"tokens": tokens})[0]
        return embeddings


def batches_of_one_length(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Places of documents that are equally long, at most `TOKENS` tokens together, in a fixed order."""
    alike = defaultdict(list)
    for place, length in enumerate(lengths):
        alike[length].append(place)
    for length, places in sorted(alike.items()):
        size = max(1, TOKENS // max(1, length))
        yield from (places[start : start + size] for start in range(0, len(places), size))


class OnnxGraph:
    """Builds the graph tokens [B, T] int64 -> pooled [B, D] float32, with onnxruntime's fused operators.

    `weights` are the tensors that the graph names, by name, once `model` is built.
    """

    def __init__(self, bert: Bert) -> None:
        self._config, self._pooling = bert.config, bert.pooling
        self._tensors = unstacked(bert.weights, bert.config)
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self.weights: dict[str, onnxruntime.OrtValue] = {}

    def model(self) -> onnx.ModelProto:
        self._node("Shape", ["tokens"], "length", start=1, end=2)
        self._constant("zero", np.array([0]))
        local = self._config.local_layers or (False,) * self._config.num_hidden_layers
        if not all(local):
            self._turns("turns", self._config.rotary)
        if any(local):
            self._turns("local", self._config.local_rotary)
            self._window(max(1, self._config.window))
        carried = read = self._embeddings()
        for place, is_local in enumerate(local):
            carried, read = self._layer(carried, read, f"encoder.layer.{place}", is_local)
        self._pool(read)
        graph = helper.make_graph(
            self._nodes,
            "encoder",
            [helper.make_tensor_value_info("tokens", TensorProto.INT64, ["B", "T"])],
            [helper.make_tensor_value_info("pooled", TensorProto.FLOAT, ["B", self._config.hidden_size])],
            self._constants,
        )
        versions = [helper.make_opsetid("", 20), helper.make_opsetid(FUSED, 1)]
        return helper.make_model(graph, opset_imports=versions, ir_version=10)

    def _embeddings(self) -> str:
        words = self._constant("words", self._tensors["embeddings.word_embeddings.weight"])
        x = self._node("Gather", [words, "tokens"], "word")
        if self._config.rotary is None:
            places = self._constant("places", _places(self._tensors, self._config))
            x = self._node("Add", [x, self._node("Slice", [places, "zero", "length"], "seen")], "embedded")
        elif self._config.type_vocab_size:
            first = self._constant("type", self._tensors["embeddings.token_type_embeddings.weight"][0])
            x = self._node("Add", [x, first], "embedded")
        return self._node(
            "LayerNormalization", [x, *self._norm("embeddings")], "normed", epsilon=self._config.layer_norm_eps
        )

    def _layer(self, carried: str, read: str, name: str, local: bool) -> tuple[str, str]:
        """What is carried on, and its norm, which is read; without `pre_norm` the same."""
        attended = self._attended(read, name, local)
        attended = self._times(attended, f"{name}.attention.output.dense")
        carried, read = self._added(attended, carried, f"{name}.attention.output")
        inner = self._times(read, f"{name}.{INNER}")
        if self._config.gated:
            gate = self._with_bias(self._times(read, f"{name}.{GATE}"), f"{name}.{GATE}")
            gate = self._node("Gelu", [gate], f"{name}.gelu", FUSED)
            inner = self._node("Mul", [self._with_bias(inner, f"{name}.{INNER}"), gate], f"{name}.gated")
        else:
            inner = self._node("BiasGelu", [inner, self._kept(f"{name}.{INNER}.bias")], f"{name}.gelu", FUSED)
        return self._added(self._times(inner, f"{name}.output.dense"), carried, f"{name}.output")

    def _attended(self, x: str, name: str, local: bool) -> str:
        projected = [self._times(x, f"{name}.{part}") for part in (QUERY, KEY, VALUE)]
        if self._config.rotary is None:
            biases = [self._tensors[f"{name}.{part}.bias"] for part in (QUERY, KEY, VALUE)]
            projected.append(self._constant(f"{name}.biases", np.concatenate(biases)))
        else:
            projected = [
                self._with_bias(one, f"{name}.{part}") for one, part in zip(projected, (QUERY, KEY, VALUE), strict=True)
            ]
            for number in (0, 1):
                inputs = [projected[number], "zero", *(f"{'local' if local else 'turns'}.{part}" for part in TURNS)]
                projected[number] = self._node("RotaryEmbedding", inputs, f"{projected[number]}.turned", FUSED)
        if not local:
            return self._fused_attention(projected, name)
        query, key, value = projected
        blocks = [self._blocks(query), self._neighbours(key), self._neighbours(value)]
        attended = self._fused_attention([*blocks, "", "", "outside"], name)
        rows = self._node("Reshape", [attended, "rows"], f"{attended}.rows")
        return self._node("Slice", [rows, "zero", "length", "one"], f"{attended}.cut")

    def _fused_attention(self, inputs: list[str], name: str) -> str:
        heads = self._config.num_attention_heads
        return self._node("MultiHeadAttention", inputs, f"{name}.attended", FUSED, num_heads=heads)

    def _turns(self, name: str, rotary: Rotary | None) -> None:
        """Cosines and sines of every position, for the fused operator."""
        if rotary:
            turns = rotary.turns(self._config.longest, self._config.head_width)
            for part, values in zip(TURNS, turns, strict=True):
                self._constant(f"{name}.{part}", values)

    def _window(self, size: int) -> None:
        """What the local layers share: how a batch is cut into blocks of `size` tokens, and which keys a query sees.

        A block's keys are those of the block before, its own and those of the block after, 3 * size.
        """
        width = self._constant("width", np.array([self._config.hidden_size]))
        self._constant("size", np.array([size]))
        self._constant("one", np.array([1]))
        self._constant("block", np.array([-1, size, self._config.hidden_size]))
        filled = self._node("Add", ["length", self._constant("size less one", np.array([size - 1]))], "filled")
        count = self._node("Div", [filled, "size"], "count")
        whole = self._node("Mul", [count, "size"], "whole")
        missing = self._node("Sub", [whole, "length"], "missing")
        self._node("Concat", ["zero", missing], "end", axis=0)
        self._node("Concat", ["size", self._node("Add", [missing, "size"], "after")], "around", axis=0)
        batch = self._node("Shape", ["tokens"], "batch", start=0, end=1)
        self._node("Concat", [batch, whole, width], "rows", axis=0)
        self._constant("both sizes", np.array([2 * size]))
        self._node("Add", [whole, "size"], "second")
        self._node("Add", [whole, "both sizes"], "third")

        keys = np.arange(-(-self._config.longest // size))[:, None] * size + np.arange(3 * size) - size
        keys[keys < 0] = np.iinfo(np.int64).max  # before the text: never below its length
        shown = self._node("Slice", [self._constant("keys", keys[:, None, None]), "zero", count], "shown")
        near = np.abs(np.arange(size)[:, None] + size - np.arange(3 * size)) <= self._config.window
        seen = self._node(
            "And", [self._node("Less", [shown, "length"], "inside"), self._constant("near", near)], "seen"
        )
        bias = self._node("Where", [seen, self._number("free", 0.0), self._number("masked", MASKED)], "bias")
        shape = self._node(
            "Concat", [batch, count, self._constant("mask", np.array([1, size, 3 * size]))], "all", axis=0
        )
        every = self._node("Expand", [bias, shape], "everywhere")
        self._node("Reshape", [every, self._constant("masks", np.array([-1, 1, size, 3 * size]))], "outside")

    def _blocks(self, x: str) -> str:
        """[B, T, D] -> [B * n, size, D], the last block of a text filled up with zeros."""
        return self._node("Reshape", [self._node("Pad", [x, "end", "", "one"], f"{x}.filled"), "block"], f"{x}.blocks")

    def _neighbours(self, x: str) -> str:
        """[B, T, D] -> every block between the one before and the one after it, [B * n, 3 * size, D]."""
        padded = self._node("Pad", [x, "around", "", "one"], f"{x}.padded")
        parts = []
        for start, end in (("zero", "whole"), ("size", "second"), ("both sizes", "third")):
            part = self._node("Slice", [padded, start, end, "one"], f"{x}.from {start}")
            parts.append(self._node("Reshape", [part, "block"], f"{part}.blocks"))
        return self._node("Concat", parts, f"{x}.neighbours", axis=1)

    def _times(self, x: str, name: str) -> str:
        matrix = self._constant(f"{name}.matrix", self._tensors[f"{name}.weight"].T)
        return self._node("MatMul", [x, matrix], f"{name}.product")

    def _with_bias(self, x: str, name: str) -> str:
        has = f"{name}.bias" in self._tensors
        return self._node("Add", [x, self._kept(f"{name}.bias")], f"{x}.biased") if has else x

    def _added(self, x: str, carried: str, name: str) -> tuple[str, str]:
        scale, *shift = self._norm(name)
        bias = [self._kept(f"{name}.dense.bias")] if f"{name}.dense.bias" in self._tensors else []
        inputs = [x, carried, scale, *(shift or [""]), *bias]
        total = f"{name}.sum" if self._config.pre_norm else ""
        node = helper.make_node(
            "SkipLayerNormalization",
            inputs,
            [f"{name}.normed", "", "", total],
            domain=FUSED,
            epsilon=self._config.layer_norm_eps,
        )
        self._nodes.append(node)
        return total or f"{name}.normed", f"{name}.normed"

    def _pool(self, x: str) -> None:
        if self._pooling == "mean":
            self._node("ReduceMean", [x, self._constant("tokens' axis", np.array([1]))], "pooled", keepdims=0)
        else:
            self._node("Gather", [x, self._constant("first", np.array(0))], "pooled", axis=1)

    def _norm(self, name: str) -> list[str]:
        parts = ("weight", "bias") if self._config.norm_bias else ("weight",)
        return [self._kept(f"{name}.LayerNorm.{part}") for part in parts]

    def _kept(self, name: str) -> str:
        return self._constant(name, self._tensors[name])

    def _number(self, name: str, value: float) -> str:
        return self._constant(name, np.array(value, np.float32))

    def _constant(self, name: str, value: NDArray[np.generic]) -> str:
        value = np.ascontiguousarray(value).reshape(value.shape)  # ascontiguousarray makes a number a row
        if value.nbytes <= INLINE:
            self._constants.append(numpy_helper.from_array(value, name))
        else:
            self._constants.append(_named(name, value))
            self.weights[name] = onnxruntime.OrtValue.ortvalue_from_numpy(value)
        return name

    def _node(self, operator: str, inputs: list[str], output: str, domain: str = "", **attributes: Any) -> str:
        self._nodes.append(helper.make_node(operator, inputs, [output], domain=domain, **attributes))
        return output


def _named(name: str, value: NDArray[np.generic]) -> onnx.TensorProto:
    """A tensor whose values are handed to the session beside the graph."""
    kind = helper.np_dtype_to_tensor_dtype(value.dtype)
    tensor = TensorProto(name=name, dims=value.shape, data_type=kind, data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="beside the graph")
    return tensor


def _places(tensors: dict[str, Array], config: BertConfig) -> Array:
    """What a token's place adds: its position, and that it is of the first of two texts."""
    positions = tensors["embeddings.position_embeddings.weight"][config.first_position :]
    if not config.type_vocab_size:
        return positions
    return np.asarray(positions + tensors["embeddings.token_type_embeddings.weight"][0])
