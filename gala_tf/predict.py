"""Tells what pictures show and where a network looks: files or folders, no data set needed.

    python -m gala_tf.predict photo.jpg --model=NET.keras
    python -m gala_tf.predict HOLIDAY more/*.png --model=runs/quickstart --output_dir=DIR

Prints `file,class,confidence` as CSV. With --output_dir that is DIR/predictions.csv, and
DIR/attention/ has each picture beside its attention maps, as PNG. Folders are searched to the
bottom; files of any kind that Pillow reads without starting another program, of 16-bit grey the
upper 8 bits. Pictures are cut as in evaluation: the central square, then resized to the network's
input.

MODEL is a run directory of gala_tf.train, or a `.keras` file: an export, a network of
gala_tf.models or of `add_attention`, or any other classifier, which has no attention to draw.
"""

from absl import flags

from gala_tf import command


def main():
    """Predicts what the flags say."""
    from gala_tf.evaluation import predicting

    values = flags.FLAGS
    predicting.predict(
        values.pictures,
        values.model,
        values.output_dir,
        class_names=values.class_names,
        input_scaling=values.input_scaling,
        image_size=values.image_size,
        crop_fraction=values.crop_fraction,
        layers=values.layers,
        batch_size=values.batch_size,
    )


if __name__ == "__main__":
    flags.DEFINE_multi_string("pictures", [], "Picture or folder; or write them without a flag.")
    flags.DEFINE_string("model", None, "Run directory, or NAME.keras.", required=True)
    flags.DEFINE_string("output_dir", "", "Where to write; default: CSV on the screen, no PNG.")
    flags.DEFINE_string(
        "class_names", "", "Text file, a name a line, of a model that does not hold its own."
    )
    flags.DEFINE_enum(
        "input_scaling",
        "none",
        ["none", "0..1", "-1..1", "caffe", "torch"],
        "What the model takes, as for gala_tf.evaluate: none = pixels 0..255 RGB.",
    )
    flags.DEFINE_integer("image_size", 0, "Side of the model's input, if it leaves it open.", 0)
    flags.DEFINE_float(
        "crop_fraction", 0.0, "Side of the crop / short side; 0: the run's, or 0.875.", 0.0, 1.0
    )
    flags.DEFINE_list("layers", None, "Layers to draw; default: first, third and last.")
    flags.DEFINE_integer("batch_size", 32, "Pictures at once.", 1)
    command.are_paths("pictures", "model", "output_dir", "class_names")
    command.run(
        main,
        positional="pictures",
        kept="What is written stays; start it again.",
    )
