"""The paper's Figure 4 from trained networks: one command a picture.

    python -m gala_tf.figures --figure=4a --model_dir=RUN_WITH_MAPS --reference_dir=RUN_WITHOUT_MAPS
    python -m gala_tf.figures --figure=4b --model_dir=RUN --images=FOLDER_OF_JPEGS
    python -m gala_tf.figures --figure=4b --model_dir=RUN --data_dir=OTHER_DATA_SET

4a: images that training has not seen; the human map; which pixels each network's answer depends on
(SmoothGrad), the difference of the two; the reduced attention maps of layers 27, 33 and 39.
4b: the attention of the last layer on images of another data set, without training on it.

Of a network that is not a ResNet-50 the corresponding layers are drawn: those at a third, two
thirds and the end of the units with attention (of six: the second, fourth and sixth).

The other pictures of the paper are not drawn here. 2A, 5 and 6 show a data set, and are made by
`python -m data_prep.verify DATA`; 7 and the tables by `python -m gala_tf.report`.
"""

from absl import flags

from gala_tf import command
from gala_tf.data import places

# Flags that only one of the figures reads.
ONLY = {
    "4a": ("reference_dir", "seed", "samples", "noise"),
    "4b": ("images",),
}


def main():
    """Draws what the flags say."""
    from gala_tf.paper.figure4 import draw

    values = flags.FLAGS
    if not values.model_dir:
        raise ValueError(f"--figure={values.figure} needs --model_dir: a run of gala_tf.train.")
    for figure, names in ONLY.items():
        wrong = [f"--{name}" for name in names if values[name].present and figure != values.figure]
        if wrong:
            raise ValueError(f"{', '.join(wrong)}: only --figure={figure} reads that.")
    places.check_file(values.output, "output", (places.PNG_SIGNATURE,), ".png")
    overrides = tuple(
        f"--{name}={values[name].value}"
        for name in ("image_size", "crop_fraction")
        if values[name].value
    )
    if values.images and values["split"].present:
        raise ValueError("--split is of a data set; a folder of --images has none.")
    common = dict(split=values.split, output=values.output)
    if values.num_images:
        common["num_images"] = values.num_images
    if values.figure == "4a":
        if not values.reference_dir:
            raise ValueError("--figure=4a needs --reference_dir: the run to compare with.")
        path = draw.draw_4a(
            values.model_dir,
            values.reference_dir,
            values.data_dir,
            overrides=overrides,
            seed=values.seed,
            samples=values.samples,
            noise=values.noise,
            **common,
        )
    else:
        path = draw.draw_4b(
            values.model_dir, values.images, values.data_dir, overrides=overrides, **common
        )
    print("wrote", path)


def define_flags(flag_values: flags.FlagValues = flags.FLAGS) -> None:
    """Declares the flags of this command."""
    fv = {"flag_values": flag_values}
    flags.DEFINE_enum(
        "figure",
        None,
        ["4a", "4b"],
        "Which of the two pictures.",
        required=True,
        **fv,
    )
    flags.DEFINE_string("model_dir", None, "Run directory, from gala_tf.train.", **fv)
    flags.DEFINE_string(
        "reference_dir", "", "4a: the run in blue; in the paper without maps.", **fv
    )
    flags.DEFINE_string(
        "data_dir", "", "Built data set; 4a: default the runs' own; 4b: any, of any classes.", **fv
    )
    flags.DEFINE_string("images", "", "4b: a folder of JPEG files instead of --data_dir.", **fv)
    flags.DEFINE_string("split", "test", "Split of the data set.", **fv)
    flags.DEFINE_integer(
        "num_images",
        None,
        "Images at most, spread evenly; default 8 (4a), 12 (4b).",
        lower_bound=1,
        **fv,
    )
    flags.DEFINE_integer(
        "image_size",
        0,
        "Side of the images in pixels; 0: the run's. Larger makes attention maps finer.",
        lower_bound=0,
        **fv,
    )
    flags.DEFINE_float(
        "crop_fraction",
        0.0,
        "Side of the central crop / short side; 0: the run's.",
        lower_bound=0.0,
        upper_bound=1.0,
        **fv,
    )
    flags.DEFINE_integer("seed", 0, "4a: of SmoothGrad's noise.", **fv)
    flags.DEFINE_integer("samples", 50, "4a: noisy copies an image.", lower_bound=1, **fv)
    flags.DEFINE_float(
        "noise",
        0.15,
        "4a: standard deviation of the noise / range of the image's pixels.",
        lower_bound=0.0,
        **fv,
    )
    flags.DEFINE_string("output", "", "PNG to write; default: in RUN/figures.", **fv)
    command.are_paths("model_dir", "reference_dir", "data_dir", "images", "output", **fv)


if __name__ == "__main__":
    define_flags()
    command.run(main, kept="Earlier pictures are as they were; start it again.")
