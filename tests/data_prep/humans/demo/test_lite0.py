"""The built-in network: written once, the pinned weights only, and it recognises its pictures."""

import numpy as np
import pytest

from data_prep.readers.imagenet import imagenet_classes

for package in ("onnxruntime", "platformdirs"):
    pytest.importorskip(package, reason="the extras [web,demo] are not installed")
from data_prep.humans.demo import lite0  # noqa: E402
from data_prep.humans.demo.onnx_network import BadNetwork, OnnxNetwork  # noqa: E402


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    pytest.importorskip("onnx", reason="the extra [demo] is not installed")
    try:
        lite0.weight_file()
    except lite0.WeightsMissing as missing:
        pytest.skip(str(missing))
    return lite0.onnx_file(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def network(graph):
    return OnnxNetwork(graph)


def test_the_graph_is_written_once(graph):
    assert [path.name for path in graph.parent.iterdir()] == [graph.name]
    assert 18_000_000 < graph.stat().st_size < 19_000_000
    before = graph.stat().st_mtime_ns
    assert lite0.onnx_file(graph.parent).stat().st_mtime_ns == before


def test_it_recognises_all_but_two_of_the_built_in_pictures(network, pictures):
    views = np.stack([picture.pixels()[16:240, 16:240] for picture in pictures])
    found = network.probabilities(views)
    assert found.shape == (24, 1000) and found.sum(1) == pytest.approx(1, abs=1e-5)
    targets = [imagenet_classes.wnids().index(picture.wnid) for picture in pictures]
    ranks = (found >= found[range(24), targets][:, None]).sum(1)
    assert sorted(ranks.tolist()) == [1] * 22 + [2, 8]
    assert not pictures[int(ranks.argmax())].in_play


def test_answers_do_not_depend_on_the_company(network, pictures):
    views = np.stack([picture.pixels()[16:240, 16:240] for picture in pictures[:3]])
    alone = np.concatenate([network.probabilities(view[None]) for view in views])
    assert network.probabilities(views) == pytest.approx(alone, abs=1e-6)


def test_folding_the_batch_norm_changes_nothing(network):
    """The first convolution by hand: norm unfolded, TensorFlow's padding below and right."""
    import onnx
    import onnxruntime
    from onnx import numpy_helper  # noqa: F401  (checked by importorskip above)

    weights = lite0.torch_weights.read(lite0.weight_file())
    pixels = np.random.default_rng(0).integers(0, 256, (224, 224, 3), np.uint8)
    model = onnx.load_from_string(lite0._graph(weights))
    clip = next(node for node in model.graph.node if node.op_type == "Clip")
    model.graph.output.append(onnx.helper.make_tensor_value_info(clip.output[0], 1, None))
    session = onnxruntime.InferenceSession(model.SerializeToString())
    found = session.run([clip.output[0]], {"pixels": pixels[None]})[0][0, :, 111, 40]

    scaled = (pixels.astype(float) - 127) / 128
    padded = np.pad(scaled, ((0, 1), (0, 1), (0, 0)))
    window = padded[222:225, 80:83].transpose(2, 0, 1)
    sums = (weights["_conv_stem.weight"] * window).sum((1, 2, 3))
    gamma, beta, mean, variance = (
        weights[f"_bn0.{part}"] for part in ("weight", "bias", "running_mean", "running_var")
    )
    by_hand = np.clip(gamma * (sums - mean) / np.sqrt(variance + 1e-3) + beta, 0, 6)
    assert found == pytest.approx(by_hand, abs=1e-4)


def test_other_weights_are_refused(monkeypatch):
    try:
        lite0.weight_file()
    except lite0.WeightsMissing as missing:
        pytest.skip(str(missing))
    monkeypatch.setattr(lite0, "WEIGHTS_SHA256", "0" * 64)
    with pytest.raises(lite0.WeightsMissing, match="not the weights this project knows"):
        lite0.weight_file()


def test_a_file_that_is_no_network_is_refused(tmp_path):
    (tmp_path / "a.onnx").write_bytes(b"no network")
    with pytest.raises(BadNetwork, match="a.onnx"):
        OnnxNetwork(tmp_path / "a.onnx")
