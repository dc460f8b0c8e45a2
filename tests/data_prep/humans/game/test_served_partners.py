"""Partners from files and services: an ONNX file, TensorFlow Serving's protocol, a SavedModel."""

import json

import numpy as np
import pytest
import served_model

from data_prep.humans.game import partners, rules
from data_prep.humans.game.rules import Rules

BLACK = Rules(background="black")


def blue_question():
    pixels = np.zeros((2, 256, 256, 3), np.uint8)
    pixels[..., 2] = 255
    masks = np.stack([rules.view_mask([], 21), rules.view_mask([(128, 128)], 21)])
    return pixels, masks, np.array([2, 2])


# --------------------------------------------------------------------------- serving


@pytest.fixture
def served():
    with served_model.running() as (url, server):
        yield url, server


def test_a_served_network_plays(served):
    url, server = served
    partner = partners.load(f"serving:{url}", BLACK)
    answer = partner.answer(*blue_question())
    assert answer.rank.tolist() == [3, 1]
    assert server.sizes == [2]  # asked once for both
    assert partner.describe()["name"] == "colours, version 3"
    assert [name for _, name in partner.describe()["classes"]] == ["red", "green", "blue"]


@pytest.mark.parametrize(
    "broken",
    [
        (500, {"error": "out of memory"}),
        (200, b"no JSON"),
        (200, {"outputs": {"logits": [[1, 2, 3]]}}),
        (200, {"outputs": {"probabilities": [["a", "b", "c"]] * 2}}),
        (200, {"outputs": {"probabilities": [[0.5, 0.5]] * 2}}),
        (200, b'{"outputs": {"probabilities": [[NaN, 0, 0], [0, 0, 0]]}}'),
        (200, [1]),
    ],
)
def test_a_service_that_fails_is_a_partner_that_failed(served, broken):
    url, server = served
    partner = partners.load(f"serving:{url}", BLACK)
    server.broken = broken
    with pytest.raises(partners.PartnerFailed):
        partner.answer(*blue_question())
    server.broken = None
    assert partner.answer(*blue_question()).rank.tolist() == [3, 1]


def test_a_service_that_is_not_there_is_refused_at_the_start(served):
    url, _ = served
    for wrong, why in (
        (url + "x", "404"),
        ("http://127.0.0.1:9/v1/models/a", "does not answer"),
        ("http://127.0.0.1:9", "expected http://HOST"),
    ):
        with pytest.raises(ValueError, match=why):
            partners.load(f"serving:{wrong}", BLACK, **({} if why[0] == "e" else {"timeout_s": 2}))


# --------------------------------------------------------------------------- ONNX


@pytest.fixture
def onnx_file(tmp_path):
    """Logits are the mean colours, channels first."""
    onnx = pytest.importorskip("onnx", reason="the extra [demo] is not installed")
    pytest.importorskip("onnxruntime", reason="the extra [web] is not installed")
    helper = onnx.helper
    pixels = helper.make_tensor_value_info("pixels", 1, ["batch", 3, 32, 32])
    logits = helper.make_tensor_value_info("logits", 1, ["batch", 3])
    nodes = [
        helper.make_node("ReduceMean", ["pixels"], ["logits"], axes=[2, 3], keepdims=0),
    ]
    graph = helper.make_graph(nodes, "colours", [pixels], [logits])
    opset = [helper.make_opsetid("", 13)]
    path = tmp_path / "colours.onnx"
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)
    return path


def describe(path, **content):
    path.with_suffix(".json").write_text(json.dumps(content))


def test_an_onnx_file_plays(onnx_file):
    classes = [["", "red"], ["", "green"], ["n3", "blue"]]
    describe(onnx_file, classes=classes, output="logits")
    partner = partners.load(f"onnx:{onnx_file}", BLACK)
    answer = partner.answer(*blue_question())
    assert answer.rank.tolist() == [3, 1]
    assert answer.top5_probability[1].sum() == pytest.approx(1)
    assert partner.classes.index("n3") == 2
    assert len(partner.describe()["sha256"]) == 64


@pytest.mark.parametrize(
    "content",
    [{}, {"classes": "red"}, {"classes": [["", "red"]]}, {"classes": [], "output": "other"}],
)
def test_an_onnx_file_without_its_classes_is_refused(onnx_file, content):
    describe(onnx_file, **content)
    with pytest.raises(ValueError, match="colours"):
        partners.load(f"onnx:{onnx_file}", BLACK)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ValueError, match="no such file"):
        partners.load(f"onnx:{tmp_path / 'a.onnx'}", BLACK)


# --------------------------------------------------------------------------- SavedModel


@pytest.mark.slow
def test_what_gala_tf_exports_plays(tmp_path):
    from gala_tf import models
    from gala_tf.explain import exporting

    network = models.build_model(
        stage_blocks=(1, 1, 1, 1), stage_widths=(8, 8, 8, 8), image_size=64, num_classes=3
    )
    names = ["n01440764", "flower", "house"]
    exporting.export_network(network, names, str(tmp_path / "exported"))
    partner = partners.load(f"savedmodel:{tmp_path / 'exported'}", BLACK)
    pixels, masks, targets = blue_question()
    answer = partner.answer(pixels, masks, targets)
    assert partner.classes.index("n01440764", "tench") == 0
    assert partner.classes.index(name="House") == 2
    assert sorted(answer.top5_class[0].tolist()) == [-1, -1, 0, 1, 2]
    again = partners.load(f"savedmodel:{tmp_path / 'exported' / 'saved_model'}", BLACK)
    assert again.describe()["sha256"] == partner.describe()["sha256"]
    assert (again.answer(pixels, masks, targets).rank == answer.rank).all()


@pytest.mark.slow
def test_a_folder_without_a_saved_model_is_refused(tmp_path):
    with pytest.raises(ValueError, match="gala_tf.export"):
        partners.load(f"savedmodel:{tmp_path}", BLACK)
