"""The encoder as an ONNX graph for CPUs, built from the weights without torch, and run by onnxruntime.

On two AVX-512 cores onnxruntime sustains 200 GFLOP/s on MiniLM where XLA multiplies matrices at 95 to 120, for its
kernels are fused: attention, skip and layer normalisation, bias and GELU. Documents of equal length form a batch, so
nothing is padded and nothing masked. Its answers differ from torch's by 3e-7.

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
from datashop_assets.models.bert.model import Bert, BertConfig
from datashop_assets.models.bert.weights import unstacked

TOKENS = 2048  # in a batch: less leaves matrices too small, more leaves the cache (8,800 to 9,100 tokens/s between)
FUSED = "com.microsoft"
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
        self._tensors = unstacked(bert.weights)
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self.weights: dict[str, onnxruntime.OrtValue] = {}

    def model(self) -> onnx.ModelProto:
        x = self._embeddings()
        for place in range(self._config.num_hidden_layers):
            x = self._layer(x, f"encoder.layer.{place}")
        self._pool(x)
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
        place = self._constant("places", _places(self._tensors, self._config))
        length = self._node("Shape", ["tokens"], "length", start=1, end=2)
        seen = self._node("Slice", [place, self._constant("zero", np.array([0])), length], "seen")
        both = self._node("Add", [self._node("Gather", [words, "tokens"], "word"), seen], "embedded")
        return self._node(
            "LayerNormalization", [both, *self._norm("embeddings")], "normed", epsilon=self._config.layer_norm_eps
        )

    def _layer(self, x: str, name: str) -> str:
        attended = self._node(
            "MultiHeadAttention",
            [*self._projected(x, name), self._biases(name)],
            f"{name}.attended",
            FUSED,
            num_heads=self._config.num_attention_heads,
        )
        x = self._added(self._times(attended, f"{name}.attention.output.dense"), x, f"{name}.attention.output")
        inner = self._times(x, f"{name}.intermediate.dense")
        inner = self._node("BiasGelu", [inner, self._kept(f"{name}.intermediate.dense.bias")], f"{name}.gelu", FUSED)
        return self._added(self._times(inner, f"{name}.output.dense"), x, f"{name}.output")

    def _projected(self, x: str, name: str) -> list[str]:
        return [self._times(x, f"{name}.attention.self.{part}") for part in ("query", "key", "value")]

    def _biases(self, name: str) -> str:
        parts = [self._tensors[f"{name}.attention.self.{part}.bias"] for part in ("query", "key", "value")]
        return self._constant(f"{name}.biases", np.concatenate(parts))

    def _times(self, x: str, name: str) -> str:
        matrix = self._constant(f"{name}.matrix", self._tensors[f"{name}.weight"].T)
        return self._node("MatMul", [x, matrix], f"{name}.product")

    def _added(self, x: str, before: str, name: str) -> str:
        inputs = [x, before, *self._norm(name), self._kept(f"{name}.dense.bias")]
        return self._node(
            "SkipLayerNormalization", inputs, f"{name}.normed", FUSED, epsilon=self._config.layer_norm_eps
        )

    def _pool(self, x: str) -> None:
        if self._pooling == "mean":
            self._node("ReduceMean", [x, self._constant("one", np.array([1]))], "pooled", keepdims=0)
        else:
            self._node("Gather", [x, self._constant("first", np.array(0))], "pooled", axis=1)

    def _norm(self, name: str) -> list[str]:
        return [self._kept(f"{name}.LayerNorm.{part}") for part in ("weight", "bias")]

    def _kept(self, name: str) -> str:
        return self._constant(name, self._tensors[name])

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
    return np.asarray(positions + tensors["embeddings.token_type_embeddings.weight"][0])
