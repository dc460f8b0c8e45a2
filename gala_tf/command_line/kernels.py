"""oneDNN's kernels for CPUs, for commands; libraries that use ours are left alone.

Every TensorFlow for x86-64 has them, but uses them by itself only on processors with instructions
for neural networks (AVX512_VNNI, AVX_VNNI and later). A step of training is faster with them on
those of AVX2 alone, too.
"""

import os
import platform

VARIABLE = "TF_ENABLE_ONEDNN_OPTS"


def prefer_onednn() -> None:
    """Makes the coming import of TensorFlow use oneDNN; nothing if the user set the variable."""
    if platform.machine().lower() in ("x86_64", "amd64"):
        os.environ.setdefault(VARIABLE, "1")
