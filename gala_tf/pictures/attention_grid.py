"""A picture of attention: what people look at in images, and what the layers of a network do.

One row an image: the image, the human map over it, and the reduced attention maps (column-wise L2
norms, section 4 and Fig. 4) of some layers.

    N images, H W the picture, S side of an image, h w of a map, P side of a panel in pixels
"""

import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import tensorflow as tf
from PIL import Image, ImageDraw

from gala_tf import models
from gala_tf.data import files, places
from gala_tf.pictures import panels as drawing

PANEL = 192  # P: 14 x 14 maps and 64 px images both show well, five columns fit a screen
GAP, MARGIN, CAPTION_HEIGHT, TITLE_HEIGHT, LEGEND_HEIGHT = 6, 14, 28, 44, 26


def attention_grid(
    images: np.ndarray,
    human_maps: np.ndarray,
    layer_maps: Mapping[str, np.ndarray],
    captions: Sequence[str] | None = None,
    layer_titles: Mapping[str, str] | None = None,
    *,
    wrong: Sequence[bool] | None = None,
    human_title: str = "human map",
) -> np.ndarray:
    """One row an image: the image, the human map over it, and each layer's map over it.

    Every map is stretched from its own minimum and maximum over the whole colour scale: compare
    where maps are high, not how high. A nearly flat map is marked as such. Maps are enlarged
    bicubically, pixel centres at halves.

    Args:
        images: [N, S, S, 3] uint8.
        human_maps: [N, h, w] >= 0, any scale; all zero: the image has none.
        layer_maps: {layer: [N, h', w']}, columns from left to right; each its own h' and w'.
        captions: N lines below the rows.
        layer_titles: {layer: title}, one or two lines, the second one faint; default its name.
        wrong: N times whether the caption tells of a wrong answer; it is red then.
        human_title: above the human maps.

    Returns [H, W, 3] uint8. ValueError: shapes, or the numbers of images, maps and captions, do not
    agree.
    """
    _check_grid(images, human_maps, layer_maps, captions)
    titles = ["image", human_title, *((layer_titles or {}).get(name, name) for name in layer_maps)]
    row_height = PANEL + (CAPTION_HEIGHT if captions else 0) + GAP
    width = 2 * MARGIN + len(titles) * (PANEL + GAP) - GAP
    height = TITLE_HEIGHT + len(images) * row_height + LEGEND_HEIGHT + MARGIN
    canvas = Image.new("RGB", (width, height), drawing.PAPER)
    draw, fonts = ImageDraw.Draw(canvas), drawing.fonts()
    lefts = [MARGIN + column * (PANEL + GAP) for column in range(len(titles))]

    for left, title in zip(lefts, titles, strict=True):
        drawing.draw_title(draw, fonts, left + PANEL // 2, TITLE_HEIGHT - 7, PANEL, title)
    for row, image in enumerate(images):
        top = TITLE_HEIGHT + row * row_height
        human = human_maps[row]
        panels = [
            drawing.enlarge(image, PANEL),
            human_panel(image, human, PANEL),
            *(drawing.overlay(image, maps[row], PANEL) for maps in layer_maps.values()),
        ]
        for left, panel in zip(lefts, panels, strict=True):
            canvas.paste(panel, (left, top))
        if captions:
            text = drawing.shorten(captions[row], fonts[0], width - 2 * MARGIN)
            ink = drawing.RED if wrong is not None and wrong[row] else drawing.INK
            draw.text((MARGIN, top + PANEL + 4), text, ink, fonts[0])
    _draw_legend(canvas, fonts[1])
    return np.asarray(canvas)


def network_row(image, maps: Mapping[str, np.ndarray], caption: str) -> np.ndarray:
    """One picture beside the attention maps over it, without a human map: uint8 [H, W, 3].

    Args:
        image: [S, S, 3] uint8.
        maps: {layer: [h, w]}, columns from left to right.
    """
    titles = ["image", *maps]
    width = 2 * MARGIN + len(titles) * (PANEL + GAP) - GAP
    height = TITLE_HEIGHT + PANEL + CAPTION_HEIGHT + LEGEND_HEIGHT + MARGIN
    canvas = Image.new("RGB", (width, height), drawing.PAPER)
    draw, fonts = ImageDraw.Draw(canvas), drawing.fonts()
    shown = [
        drawing.enlarge(image, PANEL),
        *(drawing.overlay(image, m, PANEL) for m in maps.values()),
    ]
    for column, (title, panel) in enumerate(zip(titles, shown, strict=True)):
        left = MARGIN + column * (PANEL + GAP)
        drawing.draw_title(draw, fonts, left + PANEL // 2, TITLE_HEIGHT - 7, PANEL, title)
        canvas.paste(panel, (left, TITLE_HEIGHT))
    caption = drawing.shorten(caption, fonts[0], width - 2 * MARGIN)
    draw.text((MARGIN, TITLE_HEIGHT + PANEL + 4), caption, drawing.INK, fonts[0])
    _draw_legend(canvas, fonts[1])
    return np.asarray(canvas)


def _check_grid(images, human_maps, layer_maps, captions):
    if images.ndim != 4 or images.shape[-1] != 3 or images.dtype != np.uint8 or not len(images):
        raise ValueError(
            "images must be uint8 [N, S, S, 3] with N > 0. "
            f"Received: {images.dtype} {images.shape}."
        )
    for name, maps in {"human_maps": human_maps, **layer_maps}.items():
        if maps.ndim != 3 or len(maps) != len(images):
            raise ValueError(
                f"{name} must be [N, h, w], one map for each of the {len(images)} images. "
                f"Received: {maps.shape}."
            )
    if captions is not None and len(captions) != len(images):
        raise ValueError(
            f"captions must be one line an image: expected {len(images)}, received {len(captions)}."
        )


def human_panel(image, clickmap, side):
    """The human map [h, w] over the image; all zero: the image has none. A Pillow image P x P."""
    return drawing.overlay(image, clickmap, side, "" if clickmap.any() else "no map")


def _draw_legend(canvas, font):
    """The colour scale at the lower right, and what it means."""
    colors = drawing.heat_colors(np.linspace(0, 1, 120))
    right, middle = canvas.width - MARGIN, canvas.height - MARGIN - 5
    words = "each map on its own scale: least", "most"
    drawing.draw_scale(canvas, right, middle, font, colors, *words)


def write_png(path: str, image: np.ndarray) -> None:
    """Writes `image`, uint8 [H, W, 3], to `path` (local or gs://), with the directories needed."""
    png = tf.io.encode_png(image).numpy()
    # With a text chunk by which it is known as ours (`places.check_file`).
    text = b"tEXt" + places.PNG_SIGNATURE.encode()
    chunk = struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text))
    head = 8 + 25  # the signature of PNG and IHDR, which must come first
    files.write(path, png[:head] + chunk + png[head:])


def predictions_grid(
    images, predictions, places, class_names, layers=None, titles=None, human_title="human map",
    map_scores=None,
):  # fmt: skip
    """The picture of some images of a split, with their true classes and the network's answers.

    Args:
        predictions: an `evaluator.Predictions`, of the whole split.
        places: of those images in the split, an index array or a slice.
        layers: as `choose_layers` takes them.
        map_scores: Spearman of the last layer shown with each image's human map, for the captions.

    Returns [H, W, 3] uint8. ValueError: a layer that has no map.
    """
    layers = choose_layers(predictions.maps, layers)
    has_clickmap = predictions.has_clickmap[places][:, None, None]  # [N, 1, 1]
    human = np.where(has_clickmap, predictions.clickmap[places], 0.0)
    true, said = predictions.label[places], predictions.prediction[places]
    # Wrong answers have a cross, which a grey print shows too.
    captions = [
        f"{'' if a == b else '✗ '}true: {class_names[a]} / said: {class_names[b]}"
        for a, b in zip(true, said, strict=True)
    ]
    if predictions.confidence is not None:
        sure = predictions.confidence[places]
        captions = [f"{c} ({100 * p:.0f} %)" for c, p in zip(captions, sure, strict=True)]
    if map_scores is not None:
        captions = [
            c if np.isnan(score) else f"{c}, map score {score:.2f}"
            for c, score in zip(captions, map_scores, strict=True)
        ]
    maps = {name: predictions.maps[name][places] for name in layers}
    return attention_grid(
        np.asarray(images), human, maps, captions, titles, wrong=true != said,
        human_title=human_title,
    )  # fmt: skip


def human_title(info) -> str:
    """What stands above the maps of a data set: of people, or simulated."""
    return f"{info.map_origin} map"


def choose_layers(maps: Iterable[str], layers: Sequence[str] | None = None) -> list[str]:
    """`layers`, checked to be among `maps`; by default the first, third and last of them."""
    names = list(maps)
    unknown = [name for name in layers or () if name not in names]
    if unknown:
        raise ValueError(
            f"--layers: no attention map of {', '.join(unknown)}. This network has "
            f"{', '.join(names)}."
        )
    # dict.fromkeys: in order, and each once where there are fewer than three.
    return list(layers or dict.fromkeys(names[:1] + names[2:3] + names[-1:]))


def paper_titles(layers: Sequence[str], run_config) -> dict[str, str]:
    """{layer: its number in the paper's way of counting, and its name}, for column titles."""
    unit, blocks = models.stage_layout(run_config.depth, run_config.stage_blocks)
    return {name: f"layer {models.layer_number(name, blocks, unit)}\n{name}" for name in layers}


def spread(has_clickmap: np.ndarray, count: int) -> np.ndarray:
    """Places of at most `count` images spread evenly over a split, of those with a map if any has.

    `has_clickmap` is [N] bool, in the split's order.
    """
    with_map = np.flatnonzero(has_clickmap)
    among = with_map if len(with_map) else np.arange(len(has_clickmap))
    return among[np.linspace(0, len(among) - 1, min(count, len(among))).round().astype(int)]
