"""A run drawn end to end: from its best weights, the images that have a map, and every refusal."""

import io
import os
import types
from pathlib import Path

import numpy as np
import pytest
import small_data
from absl import flags
from PIL import Image

from gala_tf import config, visualize
from gala_tf.data import dataset_info, records, schema, tfrecord_files
from gala_tf.evaluation import evaluate_run
from gala_tf.pictures import attention_grid
from gala_tf.runs import checkpoints, directory


def encode(index):
    """An image known by its grey level; every image but the third has a map."""
    file = io.BytesIO()
    Image.fromarray(np.full((36, 40, 3), 20 * index + 10, np.uint8)).save(file, "JPEG", quality=95)
    if index == 3:
        return records.encode_example(schema.Example(str(index), file.getvalue(), 0))
    counts = np.zeros((36, 40), np.uint8)
    counts[10:20, 12:20] = 1 + index
    grid, box = np.zeros((4, 4), np.uint8), (0.25, 0.3, 0.6, 0.5)
    example = schema.Example(str(index), file.getvalue(), index % 2, (counts,))
    return records.encode_example(example, blurred=grid, box=box)


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    """A run whose best weights are those it began with, on ten images in two shards."""
    data_dir, model_dir = (str(tmp_path_factory.mktemp(name)) for name in ("data", "run"))
    shards = tuple(
        tfrecord_files.write_shard(
            os.path.join(data_dir, dataset_info.shard_name("test", n, 2)), map(encode, indices)
        )
        for n, indices in enumerate([range(6), range(6, 10)])
    )
    info = small_data.describe(
        Path(data_dir),
        {"test": dataset_info.Split(10, 9, 0, 2, shards)},
        class_names=("cat", "dog"),
        image=dataset_info.ImageGeometry("original", 36, 36, 40, 40),
    )
    run_config = config.Config(
        data_dir=data_dir,
        model_dir=model_dir,
        image_size=32,
        crop_fraction=0.9,
        clickmap_blur="box:5",
        stage_blocks=(1, 1, 4),
        stage_widths=(4, 4, 4),
        stem="small",
        global_batch_size=4,
    )
    directory.start(run_config, info)
    network = directory.build_network(run_config, 2)
    best = checkpoints.Checkpoints(os.path.join(model_dir, "best"), 1, model=network)
    best.save(5, validation={})
    return model_dir


def test_run_is_drawn_from_its_best_weights(run_dir, monkeypatch):
    drawn, real = [], attention_grid.predictions_grid
    monkeypatch.setattr(
        attention_grid, "predictions_grid", lambda *a, **k: drawn.append(a) or real(*a, **k)
    )
    path = evaluate_run.draw_run(run_dir, "test", 4)
    assert path == os.path.join(run_dir, "figures", "attention-test.png")
    picture = np.asarray(Image.open(path))
    assert picture.shape[:2] == (44 + 4 * 226 + 26 + 14, 2 * 14 + 5 * 192 + 4 * 6)

    images, predictions, rows, names, _, titles = drawn[0]
    assert rows.tolist() == [0, 4, 6, 9]  # of 0 1 2 4 5 6 7 8 9, evenly: 3 has no map
    np.testing.assert_allclose(images.mean((1, 2, 3)), 20 * rows + 10, atol=1.5)
    assert predictions.label[rows].tolist() == [0, 0, 0, 1]
    assert names == ("cat", "dog")
    assert titles["stage3_block1_gala"] == "layer 9\nstage3_block1_gala"


def test_examples_come_whole_and_in_the_order_asked_for(run_dir):
    run = directory.open_run(run_dir)
    protocol = evaluate_run.paper_protocol(run.config, run.info, "test", {"layer": 2})
    rows = [9, 3, 4]  # of two shards
    examples = protocol.read(rows)
    assert examples["image_index"].tolist() == rows
    assert examples["label"].tolist() == [1, 0, 0]
    assert examples["has_clickmap"].tolist() == [1, 0, 1]
    assert examples["clickmap"].shape == (3, 2, 2, 1) and not examples["clickmap"][1].any()
    images = examples["image"]
    np.testing.assert_allclose(images.mean((1, 2, 3)), [190, 70, 90], atol=1.5)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("test", 0), "--num_images must be positive. Received: 0"),
        (("test", 2, ["stage9"]), "no attention map of stage9. This network has stage3_block1"),
        (("nothere", 2), "nothere"),
    ],
)
def test_wrong_request_is_refused(run_dir, arguments, message):
    with pytest.raises(ValueError, match=message):
        evaluate_run.draw_run(run_dir, *arguments)


@pytest.fixture
def command(monkeypatch):
    """Calls the command with these flags; whatever is not said is its default."""

    def call(**named):
        given = dict(data_dir="", split="test", num_images=99, layers=None, output="")
        monkeypatch.setattr(flags, "FLAGS", types.SimpleNamespace(**{**given, **named}))
        visualize.main()

    return call


def test_the_command_draws_what_is_asked_for_and_says_where(command, monkeypatch, capsys):
    drawn = []
    monkeypatch.setattr(evaluate_run, "draw_run", lambda *a: drawn.append(a) or "x.png")
    command(model_dir="RUN", data_dir="DATA", layers=["stage3_block2_gala"], output="x.png")
    layers = ["stage3_block2_gala"]
    assert drawn == [("RUN", "test", 99, layers, "x.png", ("--data_dir=DATA",))]
    assert capsys.readouterr().out == "wrote x.png\n"


def test_a_mistake_is_named(command, tmp_path):
    with pytest.raises(ValueError, match=f"--model_dir={tmp_path}: no run.flags"):
        command(model_dir=str(tmp_path))
