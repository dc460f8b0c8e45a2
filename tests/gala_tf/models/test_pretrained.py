"""Weights from files: torchvision's names and axes, ours, another head, and what is refused."""

import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from gala_tf import models
from gala_tf.models import pretrained
from gala_tf.models.residual_units import PIXEL_MEAN, PIXEL_STD

safetensors = pytest.importorskip("safetensors.numpy")
RNG = np.random.default_rng(0)
SIDE = 32
STAGES = {18: (2, 2, 2, 2), 50: (3, 4, 6, 3)}
WIDTH = 1 / 16  # stage widths 4, 8, 16, 32


def torch_state(depth=18, classes=7):
    """A random state with torchvision's names, shapes and entries, at a sixteenth of the width."""
    state, width = {}, 4
    bottleneck = depth == 50

    def conv(name, kernel, c_in, c_out):
        scale = (2 / (kernel * kernel * c_in)) ** 0.5
        weights = RNG.normal(size=(c_out, c_in, kernel, kernel)) * scale
        state[f"{name}.weight"] = weights.astype("float32")

    def norm(name, channels):
        for entry, values in (
            ("weight", RNG.uniform(0.5, 1.5, channels)),
            ("bias", RNG.normal(size=channels) * 0.1),
            ("running_mean", RNG.normal(size=channels) * 0.1),
            ("running_var", RNG.uniform(0.5, 2, channels)),
        ):
            state[f"{name}.{entry}"] = values.astype("float32")
        state[f"{name}.num_batches_tracked"] = np.array(3)

    conv("conv1", 7, 3, width)
    norm("bn1", width)
    c_in = width
    for stage, blocks in enumerate(STAGES[depth], start=1):
        c = width * 2 ** (stage - 1)
        c_out = c * (4 if bottleneck else 1)
        for block in range(blocks):
            name = f"layer{stage}.{block}"
            sizes = (
                ((1, c_in, c), (3, c, c), (1, c, c_out))
                if bottleneck
                else ((3, c_in, c), (3, c, c))
            )
            for i, (kernel, a, b) in enumerate(sizes, start=1):
                conv(f"{name}.conv{i}", kernel, a, b)
                norm(f"{name}.bn{i}", b)
            if block == 0 and (stage > 1 or c_in != c_out):
                conv(f"{name}.downsample.0", 1, c_in, c_out)
                norm(f"{name}.downsample.1", c_out)
            c_in = c_out
    state["fc.weight"] = RNG.normal(size=(classes, c_in)).astype("float32")
    state["fc.bias"] = RNG.normal(size=classes).astype("float32")
    return state


def torchvision_logits(state, images, depth=18):
    """torchvision's forward pass, written from its definition and not from our network."""

    def conv(x, name, stride=1):
        kernel = state[f"{name}.weight"]
        pad = kernel.shape[-1] // 2
        x = tf.pad(x, [[0, 0], [pad, pad], [pad, pad], [0, 0]])
        return tf.nn.conv2d(x, kernel.transpose(2, 3, 1, 0), stride, "VALID")

    def norm(x, name):
        mean, var = state[f"{name}.running_mean"], state[f"{name}.running_var"]
        return (x - mean) / np.sqrt(var + 1e-5) * state[f"{name}.weight"] + state[f"{name}.bias"]

    x = (images - np.array(PIXEL_MEAN)) / np.array(PIXEL_STD)
    x = tf.nn.relu(norm(conv(tf.cast(x, tf.float32), "conv1", 2), "bn1"))
    x = tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]], constant_values=-np.inf)
    x = tf.nn.max_pool2d(x, 3, 2, "VALID")
    for stage, blocks in enumerate(STAGES[depth], start=1):
        for block in range(blocks):
            name, stride = f"layer{stage}.{block}", 2 if stage > 1 and block == 0 else 1
            strides = (1, stride, 1) if depth == 50 else (stride, 1)  # v1.5
            y = x
            for i, s in enumerate(strides, start=1):
                y = norm(conv(y, f"{name}.conv{i}", s), f"{name}.bn{i}")
                y = tf.nn.relu(y) if i < len(strides) else y
            if f"{name}.downsample.0.weight" in state:
                x = norm(conv(x, f"{name}.downsample.0", stride), f"{name}.downsample.1")
            x = tf.nn.relu(x + y)
    return tf.reduce_mean(x, [1, 2]) @ state["fc.weight"].T + state["fc.bias"]


def build(depth=18, attention="none", classes=7, **more):
    function = {"none": models.resnet18, "gala": models.gala_resnet18}
    if depth == 50:
        function = {"none": models.resnet50, "gala": models.gala_resnet50}
    kind = "none" if attention == "none" else "gala"
    return function[kind](
        classes=classes,
        input_shape=(SIDE, SIDE, 3),
        width_multiplier=WIDTH,
        attention=attention,
        **more,
    )


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    state = torch_state()
    path = tmp_path_factory.mktemp("weights") / "resnet18.safetensors"
    safetensors.save_file(state, path)
    return state, str(path)


IMAGES = RNG.uniform(0, 255, (3, SIDE, SIDE, 3)).astype("float32")


@pytest.mark.parametrize("attention", ["none", "gala_residual"])
def test_logits_equal_torchvisions(file, attention, capsys):
    state, path = file
    network = build(attention=attention, weights=path)
    expected = torchvision_logits(state, IMAGES)
    got = network(IMAGES, training=False)["logits"]
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    said = capsys.readouterr().out
    assert "loaded 41 layers" in said and "skipped" not in said
    assert ("new: stage3_block1_gala_residual" in said) == (attention != "none")


def test_bottlenecks_have_their_stride_where_torchvision_has_it(tmp_path):
    state = torch_state(50)
    safetensors.save_file(state, tmp_path / "resnet50.safetensors")
    network = build(50, weights=str(tmp_path / "resnet50.safetensors"))
    expected = torchvision_logits(state, IMAGES, 50)
    got = network(IMAGES, training=False)["logits"]
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_other_classes_leave_the_head_new_and_say_so(file):
    network = build(classes=5)
    head = network.get_layer("logits").get_weights()
    loaded = models.load_weights(network, file[1])
    assert loaded.new_layers == ["logits"] and set(loaded.skipped) == set(loaded.new)
    assert "the head is new" in str(loaded) and "skipped: logits" in str(loaded)
    for old, new in zip(head, network.get_layer("logits").get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("ending", [".keras", ".weights.h5"])
def test_our_own_files(tmp_path, ending):
    source = build(attention="gala", classes=4)
    path = str(tmp_path / f"mine{ending}")
    (source.save if ending == ".keras" else source.save_weights)(path)
    keras.utils.set_random_seed(9)
    for classes in (4, 3):
        network = build(attention="gala", classes=classes)
        loaded = models.load_weights(network, path)
        assert loaded.new_layers == ([] if classes == 4 else ["logits"])
        mine, theirs = (n.get_layer("stage4_block2_conv1").kernel for n in (network, source))
        np.testing.assert_array_equal(mine, theirs)
        mine, theirs = (n.get_layer("stage3_block1_gala").get_weights() for n in (network, source))
        for a, b in zip(mine, theirs, strict=True):
            np.testing.assert_array_equal(a, b)
    if ending == ".keras":  # attention that has no place is listed
        loaded = models.load_weights(build(classes=4), path)
        assert {p.split("/")[0] for p in loaded.skipped} == {
            "stage3_block1_gala",
            "stage3_block2_gala",
        }


def test_refusals(file, tmp_path):
    network = build()
    with pytest.raises(ValueError, match="weights_only=True.*'x.safetensors'") as found:
        models.load_weights(network, "x.pth")
    assert "pickle" in str(found.value)
    with pytest.raises(ValueError, match="expected an existing file that ends in .safetensors"):
        models.load_weights(network, str(tmp_path / "missing.safetensors"))
    with pytest.raises(ValueError, match="another network.*beginning with stage"):
        models.load_weights(build(50), file[1])
    (tmp_path / "bad.safetensors").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="bad.safetensors is damaged"):
        models.load_weights(network, str(tmp_path / "bad.safetensors"))
    with pytest.raises(ValueError, match="depths .*Received: depth 200, v1"):
        pretrained.imagenet_file(200)
    with pytest.raises(ValueError, match="Received: depth 50, v2"):
        models.resnet50(weights="imagenet", version="v2", width_multiplier=WIDTH)


def test_imagenet_is_timms_file_through_the_hub(file, monkeypatch):
    """The hub is out of reach in tests: what is asked for, and that the file is read."""
    asked = []

    def download(repository, name):
        asked.append((repository, name))
        return file[1]

    hub = types.SimpleNamespace(hf_hub_download=download)
    monkeypatch.setitem(__import__("sys").modules, "huggingface_hub", hub)
    network = build(weights="imagenet")
    assert asked == [("timm/resnet18.tv_in1k", "model.safetensors")]
    kernel = file[0]["conv1.weight"].transpose(2, 3, 1, 0)
    np.testing.assert_array_equal(network.get_layer("stem_conv").kernel, kernel)

    def unreachable(repository, name):
        raise OSError("no network")

    hub.hf_hub_download = unreachable
    with pytest.raises(ValueError, match="timm/resnet18.tv_in1k cannot be fetched"):
        build(weights="imagenet")


def test_networks_are_like_those_of_keras_applications(tmp_path):
    network = build(attention="gala", class_names=list("abcdefg"), name="mine")
    assert network.name == "mine" and network.output["logits"].shape == (None, 7)
    network.save(tmp_path / "named.keras")
    back = keras.saving.load_model(tmp_path / "named.keras", safe_mode=True)
    assert back.get_layer("logits").class_names == tuple("abcdefg")
    for version in ("v1", "v2"):
        features = build(include_top=False, version=version)
        assert set(features.output) == {"features", "attention", "activity"}
        assert features.output["features"].shape == (None, 1, 1, 32)
    wide = models.se_resnet18(input_shape=(32, 64, 3), classes=2, width_multiplier=WIDTH)
    assert wide.input_shape == (None, 32, 64, 3) and wide.name == "se_resnet18"
    with pytest.raises(ValueError, match="input_shape must end in 3"):
        models.resnet18(input_shape=(32, 32, 1))
    with pytest.raises(ValueError, match="7 classes .* 2 names"):
        build(class_names=["a", "b"])
    names = [
        f"{kind}resnet{d}" for kind in ("", "se_", "gala_") for d in (18, 34, 50, 101, 152, 200)
    ]
    assert set(names) < set(models.__all__) and all(callable(getattr(models, n)) for n in names)
