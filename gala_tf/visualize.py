"""Pictures of attention: what people look at in an image, and what the layers of a network do.

    python -m gala_tf.visualize --model_dir=RUN --split=test --num_images=12

One row an image, of a finished or running run: the image, the human map over it, and the reduced
attention maps (column-wise L2 norms, section 4 and Fig. 4) of some layers.
"""

from absl import flags

from gala_tf import command


def main():
    """Draws what the flags say."""
    from gala_tf.evaluation import evaluate_run

    values = flags.FLAGS
    overrides = (f"--data_dir={values.data_dir}",) if values.data_dir else ()
    path = evaluate_run.draw_run(
        values.model_dir, values.split, values.num_images, values.layers, values.output, overrides
    )
    print("wrote", path)


if __name__ == "__main__":
    flags.DEFINE_string("model_dir", None, "Run directory, from gala_tf.train.", required=True)
    flags.DEFINE_string("data_dir", "", "Directory of the shards; default: the run's own.")
    flags.DEFINE_string("split", "test", "Split whose images are drawn.")
    flags.DEFINE_integer("num_images", 12, "Rows, spread evenly over the images with human maps.")
    flags.DEFINE_list("layers", None, "Layers to draw; default: first, third and last.")
    flags.DEFINE_string("output", "", "PNG to write; default: figures/attention-SPLIT.png there.")
    command.are_paths("model_dir", "data_dir", "output")
    command.run(main, kept="Earlier pictures are as they were; start it again.")
