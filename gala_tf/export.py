"""Exports a trained network, to be used without this project's training code.

    python -m gala_tf.export --model_dir=RUN --output_dir=DIR

    DIR/model.keras    the network itself, for fine-tuning: needs keras and `gala_tf.layers`

        import gala_tf.layers, keras
        network = keras.saving.load_model("DIR/model.keras")
        network(images)  # {"logits": ..., "attention": {layer: ...}, "activity": {layer: ...}}

    DIR/saved_model    a TensorFlow SavedModel, for serving: needs TensorFlow alone

        served = tf.saved_model.load("DIR/saved_model")
        served.predict(images)  # {"probabilities": [B, K], "attention": [B, h, w]}
        served.class_names()  # [K] strings

Both take pixel values 0..255, float32 [B, S, S, 3] RGB, with any B. `attention` is the final
scored layer's reduced map (column-wise L2 norm): what is compared with human maps in evaluation.
"""

import sys

from absl import flags

from gala_tf import command


def main():
    """Exports what the flags say."""
    from gala_tf.explain import exporting
    from gala_tf.runs import directory

    values = flags.FLAGS
    exporting.check_output(values.output_dir, values.overwrite)  # before the network is built
    run = directory.open_run(values.model_dir, weights=values.checkpoint)
    print("writing the network twice; a large one takes a minute", file=sys.stderr, flush=True)
    for path in exporting.export_network(
        run.network, run.info.class_names, values.output_dir, values.overwrite
    ):
        print("wrote", path)


if __name__ == "__main__":
    flags.DEFINE_string("model_dir", None, "Run directory, from gala_tf.train.", required=True)
    flags.DEFINE_string("output_dir", None, "Directory for the two exports.", required=True)
    flags.DEFINE_enum("checkpoint", "best", ["best", "newest"], "Best or newest weights.")
    flags.DEFINE_bool("overwrite", False, "Replace an earlier export in output_dir.")
    command.are_paths("model_dir", "output_dir")
    command.run(
        main, kept="An earlier export is whole, a new one in part or not there; start it again."
    )
