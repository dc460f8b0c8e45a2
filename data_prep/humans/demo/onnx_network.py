"""Runs an image classifier from an ONNX file: pixels 0..255 in, probabilities out, one thread."""

from pathlib import Path

import numpy as np
import onnxruntime


class BadNetwork(ValueError):
    """The file is no image classifier that can be run here; the message says why."""


class OnnxNetwork:
    """A classifier of square pictures.

    Attributes:
        side: of its input, px.
        count: of its classes.
    """

    def __init__(self, path: Path, logits: bool = False):
        """
        Args:
          logits: the file gives logits, not probabilities.

        Raises:
          BadNetwork: not an ONNX file, or another kind of network.
        """
        options = onnxruntime.SessionOptions()
        # One thread: the server's other threads need the cores, and sums do not depend on load.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its classes share no base below Exception
            raise BadNetwork(f"{path}: ONNX Runtime cannot load it: {error}") from None
        self._input, self._logits = self._session.get_inputs()[0], logits
        shape = self._input.shape
        if len(self._session.get_inputs()) != 1 or len(shape) != 4 or 3 not in (shape[1], shape[3]):
            raise BadNetwork(
                f"{path}: expected one input [B, S, S, 3] or [B, 3, S, S], got {shape}."
            )
        self._channels_first = shape[3] != 3
        self.side = shape[2]
        if not isinstance(self.side, int):
            raise BadNetwork(f"{path}: its input has no fixed size ({shape}): export it with one.")
        self._dtype = np.uint8 if self._input.type == "tensor(uint8)" else np.float32
        self._fixed_batch = isinstance(shape[0], int)
        self.count = self.probabilities(np.zeros((1, self.side, self.side, 3), np.uint8)).shape[1]

    def probabilities(self, pixels: np.ndarray) -> np.ndarray:
        """Of pictures [B, S, S, 3] of 0..255: float32 [B, K]."""
        values = np.ascontiguousarray(pixels, self._dtype)
        if self._channels_first:
            values = np.ascontiguousarray(values.transpose(0, 3, 1, 2))
        batches = np.split(values, len(values)) if self._fixed_batch else [values]
        found = [self._session.run(None, {self._input.name: batch})[0] for batch in batches]
        outputs = np.concatenate(found).astype(np.float32)
        return softmax(outputs) if self._logits else outputs


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities of logits [B, K]."""
    exponentials = np.exp(logits - logits.max(1, keepdims=True))
    return exponentials / exponentials.sum(1, keepdims=True)
