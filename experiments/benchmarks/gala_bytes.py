"""Memory traffic of the GALA layer on a TPU, in several formulations: the compiler's own count.

    python experiments/benchmarks/gala_bytes.py --topology=v3:2x2x1 --json=gala_bytes.json
    python experiments/benchmarks/gala_bytes.py --whole   # GALA-ResNet-50's whole training step

FLOPs say that GALA costs 8 % of a ResNet-50; a careless formula costs far more in bytes. One layer,
forward and backward with the map loss, bfloat16, lowered and compiled as by `gala_tf.tpu_check`, in
the same virtual environment. The least that any formulation needs is what the first row has: x and
the gradient of the result read, the result and the gradient of x written, x read again in between.
Nothing is run, so there is no spread: the same compiler counts the same bytes every time.
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from absl import flags  # noqa: E402

from gala_tf import command, config  # noqa: E402
from gala_tf.tpu_checking import environment, verdicts  # noqa: E402

TOPOLOGY = flags.DEFINE_string("topology", "v3:2x2x1", "As for tpu_check.")
BATCH = flags.DEFINE_integer("batch", 128, "Images of the core.", lower_bound=1)
WHOLE = flags.DEFINE_bool("whole", False, "The whole training step; minutes of compiling a row.")
ENVIRONMENT = flags.DEFINE_string("environment", "", "As for tpu_check.")
CACHE = flags.DEFINE_string("cache_dir", "", "As for tpu_check.")
JSON = flags.DEFINE_string("json", "", "Where to write the rows.")

SIDE, CHANNELS = 14, 1024  # of stage 3 at 224 px
FORMULATIONS = {
    "x * 1": "no attention: the least traffic",
    "SE": "squeeze-and-excitation",
    "GALA": "as in layers/gala.py: S (a + m g) + a g",
    "GALA, as printed": "a (G + S) + m (G . S), broadcasting",
    "GALA, tiled": "the same, both pathways tiled to [B, H, W, C] first",
    "GALA, recomputed": "as in layers/gala.py, tanh recomputed in the backward pass",
}
FLAGS_OF_A_STEP = ["--precision=mixed_bfloat16", "--map_loss_weight=6", "--warmup_epochs=0"]


def make_layer(formulation: str):
    """The layer of a row, whose type `--attention` could name; None for no attention."""
    import tensorflow as tf
    from tensorflow.compiler.tf2xla.ops import gen_xla_ops

    from gala_tf.layers import GALA, SqueezeExcite

    class AsPrinted(GALA):
        def integrate(self, g, s):
            return self.additive * (g + s) + self.multiplicative * (g * s)

    class Tiled(GALA):
        def integrate(self, g, s):
            height, width = s.shape[1:3]
            tiled_g = tf.tile(g, [1, height, width, 1])
            tiled_s = tf.tile(s, [1, 1, 1, g.shape[-1]])
            return self.additive * (tiled_g + tiled_s) + self.multiplicative * (tiled_g * tiled_s)

    class Recomputed(GALA):
        def call(self, x, training=None):
            g, s = self.global_context(x), self.local_saliency(x)
            return gate(x, s, self.additive + self.multiplicative * g, self.additive * g)

    @tf.custom_gradient
    def gate(x, s, slope, offset):
        attention = tf.tanh(s * slope + offset)

        def backward(d_gated, d_attention):
            # The barrier keeps the compiler from finding that it has this tanh already.
            again = gen_xla_ops.xla_optimization_barrier(input=[s, slope, offset])
            attention = tf.tanh(again[0] * again[1] + again[2])
            d = (d_gated * x + d_attention) * (1 - attention * attention)
            d_s = tf.reduce_sum(d * slope, -1, keepdims=True)
            d_slope, d_offset = (tf.reduce_sum(y, (1, 2), keepdims=True) for y in (d * s, d))
            return d_gated * attention, d_s, d_slope, d_offset

        return (x * attention, attention), backward

    return {
        "x * 1": None,
        "SE": SqueezeExcite,
        "GALA": GALA,
        "GALA, as printed": AsPrinted,
        "GALA, tiled": Tiled,
        "GALA, recomputed": Recomputed,
    }[formulation]


def trace_layer(formulation: str, batch: int):
    """(traced forward and backward pass of one layer, what keeps its variables)."""
    import keras
    import tensorflow as tf

    from gala_tf import losses

    keras.config.set_dtype_policy("mixed_bfloat16")
    layer_class = make_layer(formulation)
    layer = layer_class() if layer_class else None
    if layer:
        layer.build((None, SIDE, SIDE, CHANNELS))
    weights = [v.value for v in layer.trainable_variables] if layer else []

    @tf.function(autograph=False)
    def step(x, upstream, clickmap):
        with tf.GradientTape() as tape:
            tape.watch(x)
            gated, attention = layer(x) if layer else (x * 1, None)
            total = tf.reduce_sum(tf.cast(gated, tf.float32) * tf.cast(upstream, tf.float32))
            if attention is not None and attention.shape[1] > 1:
                present = tf.ones([batch])
                total += tf.reduce_sum(losses.clickmap_loss(attention, clickmap, present))
        return gated, tape.gradient(total, [x, *weights])

    volume = tf.TensorSpec([batch, SIDE, SIDE, CHANNELS], tf.bfloat16)
    clickmap = tf.TensorSpec([batch, SIDE, SIDE, 1], tf.float32)
    return step.get_concrete_function(volume, volume, clickmap), layer


def trace_network(formulation: str, batch: int):
    """(traced training step of a ResNet-50 with that layer, what keeps its variables)."""
    from gala_tf.layers import ATTENTION
    from gala_tf.tpu_checking import steps

    ATTENTION["measured"] = make_layer(formulation)
    arguments = [*FLAGS_OF_A_STEP, f"--global_batch_size={batch}", "--attention=measured"]
    if formulation in ("x * 1", "SE"):
        arguments.append("--map_loss_weight=0")
    traced = steps.trace("train", config.from_arguments(arguments, "the benchmark"), 1, 1000)
    return traced.function, traced.owner


def lower(request: dict) -> None:
    """Stage 1, in the other environment: writes module, text and sizes beside `request["base"]`."""
    from gala_tf.tpu_checking import lowering
    from gala_tf.tpu_checking.pure_step import PureStep

    trace = trace_network if request["whole"] else trace_layer
    function, _owner = trace(request["formulation"], request["batch"])
    text, serialized, sizes = lowering.lower(PureStep(function))
    base = Path(request["base"])
    base.with_suffix(".hlo").write_text(text)
    base.with_suffix(".pb").write_bytes(serialized)
    base.with_suffix(".json").write_text(json.dumps({**sizes, "replicas": 1}))


def measure(formulation: str, where, kept) -> dict:
    """One row of the table."""
    import tempfile

    with tempfile.TemporaryDirectory() as directory:
        base = Path(directory) / "step"
        request = {"formulation": formulation, "batch": BATCH.value, "whole": WHOLE.value}
        process = where.run("experiments.benchmarks.gala_bytes", {**request, "base": str(base)})
        if process.returncode:
            raise ValueError(f"{formulation}: {process.stderr.strip()[-2000:]}")
        lowered = verdicts.Lowered(
            json.loads(base.with_suffix(".json").read_text()),
            None,
            base.with_suffix(".hlo").read_text(),
            base.with_suffix(".pb").read_bytes(),
        )
    found = verdicts.compile_step(where, lowered, TOPOLOGY.value, kept)
    if not found["compiles"]:
        raise ValueError(f"{formulation}: {found['error']}")
    return {"formulation": formulation, **found}


def main():
    """Compiles every formulation; prints a table."""
    where = environment.find(ENVIRONMENT.value or environment.default_directory())
    if where is None:
        raise ValueError("no environment yet: run python -m gala_tf.tpu_check first")
    kept = verdicts.Cache(CACHE.value or environment.cache_directory() / "tpu_check")
    what = "ResNet-50, training step" if WHOLE.value else f"one layer, {SIDE}x{SIDE}x{CHANNELS}"
    print(f"{what}, {BATCH.value} images, bfloat16, one core of {TOPOLOGY.value}")
    print(f"{'formulation':<18} {'GB':>7} {'ratio':>6} {'GFLOP':>8} {'peak MiB':>9}")
    rows = []
    for formulation in FORMULATIONS:
        row = measure(formulation, where, kept)
        rows.append(row)
        print(
            f"{formulation:<18} {row['bytes_accessed'] / 1e9:>7.3f} "
            f"{row['bytes_accessed'] / rows[0]['bytes_accessed']:>6.2f} "
            f"{row['flops'] / 1e9:>8.1f} {row['peak_bytes'] / 2**20:>9.0f}  "
            f"{FORMULATIONS[formulation]}",
            flush=True,
        )
    if JSON.value:
        facts = {"topology": TOPOLOGY.value, "batch": BATCH.value, "whole": WHOLE.value}
        versions = {"versions": environment.PINNED, "rows": rows}
        Path(JSON.value).write_text(json.dumps({**facts, **versions}, indent=1) + "\n")


if __name__ == "__main__":
    if len(sys.argv) == 2 and sys.argv[1].endswith(".json"):
        with open(sys.argv[1]) as file:
            lower(json.load(file))
    else:
        command.run(main)
