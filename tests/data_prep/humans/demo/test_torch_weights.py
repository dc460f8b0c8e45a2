"""Weight files are read without PyTorch, and nothing they say is run."""

import os
import pickle
import struct
import sys

import numpy as np
import pytest

from data_prep.humans.demo import torch_weights


def word(text):
    return b"X" + struct.pack("<I", len(text)) + text.encode()


def number(value):
    return b"J" + struct.pack("<i", value)


def numbers(values):
    return b"(" + b"".join(map(number, values)) + b"t"


def tensor(name, size, shape, strides, offset=0, key="7"):
    """The opcodes with which torch.save writes one entry of a state dict."""
    storage = b"(" + word("storage") + b"ctorch\nFloatStorage\n" + word(key) + word("cpu")
    storage += number(size) + b"NtQ"
    arguments = b"(" + storage + number(offset) + numbers(shape) + numbers(strides) + b"\x89"
    arguments += b"ccollections\nOrderedDict\n)Rt"
    return word(name) + b"ctorch._utils\n_rebuild_tensor_v2\n" + arguments + b"R"


def weight_file(path, entries, values=(), keys=("7",), magic=torch_weights.MAGIC):
    """A file as torch.save wrote it; `entries` are opcodes of names and values."""
    with open(path, "wb") as file:
        for plain in (magic, torch_weights.PROTOCOL, {"little_endian": True}):
            pickle.dump(plain, file, protocol=2)
        file.write(b"\x80\x02ccollections\nOrderedDict\n)R(" + b"".join(entries) + b"u.")
        pickle.dump(list(keys), file, protocol=2)
        file.write(struct.pack("<q", len(values)) + np.asarray(values, "<f4").tobytes())
    return path


def test_tensors_are_windows_into_their_storage(tmp_path):
    entries = [
        tensor("a", 6, (2, 3), (3, 1)),
        tensor("b", 6, (3, 2), (1, 3)),
        tensor("c", 6, (), (), 5),
    ]
    found = torch_weights.read(weight_file(tmp_path / "w.pth", entries, range(6)))
    assert found["a"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert found["b"].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert found["c"] == 5 and found["c"].shape == ()


@pytest.mark.parametrize(
    "call",
    [
        b"cos\nsystem\n" + word("touch RAN") + b"\x85R",
        b"cbuiltins\neval\n" + word("open('RAN', 'w')") + b"\x85R",
        b"cposix\nsystem\n" + word("touch RAN") + b"\x85R",
        b"(" + word("touch RAN") + b"ios\nsystem\n",  # INST
        b"ctorch.serialization\nload\n" + word("RAN") + b"\x85R",
        b"\x82\x01",  # a registered extension
    ],
)
def test_a_hostile_file_is_refused_by_name_and_nothing_runs(tmp_path, monkeypatch, call):
    monkeypatch.chdir(tmp_path)
    path = weight_file(tmp_path / "evil.pth", [word("a"), call])
    with pytest.raises(torch_weights.RefusedWeights, match="evil.pth: refused"):
        torch_weights.read(path)
    assert os.listdir(tmp_path) == ["evil.pth"]


def test_what_is_refused_is_said(tmp_path):
    path = weight_file(tmp_path / "evil.pth", [word("a"), b"cos\nsystem\n", word("x"), b"\x85R"])
    with pytest.raises(torch_weights.RefusedWeights, match="it asks for os.system"):
        torch_weights.read(path)


def test_a_pickle_that_is_no_weight_file_at_all_is_refused(tmp_path):
    path = tmp_path / "plain.pkl"
    path.write_bytes(b"cos\nsystem\n(X\x09\x00\x00\x00touch RANtR.")
    with pytest.raises(torch_weights.RefusedWeights, match="os.system"):
        torch_weights.read(path)


@pytest.mark.parametrize(
    "entry",
    [
        tensor("a", 6, (7,), (1,)),  # beyond the end
        tensor("a", 6, (2,), (1,), offset=-1),
        tensor("a", 6, (1 << 30, 1), (0, 1)),  # one number as a billion
        tensor("a", 6, (2,), (-1,), offset=5),
        tensor("a", 6, (2, 2), (1,)),
        tensor("a", 5, (2,), (1,)),  # the storage has six
        tensor("a", 6, (2,), (1,), key="8"),  # no such storage
        word("a") + word("no tensor"),
        # BUILD must not reach the stand-in's attributes.
        word("a") + b"ctorch._utils\n_rebuild_tensor_v2\n}" + word("x") + number(1) + b"sb",
    ],
)
def test_tensors_that_reach_elsewhere_are_refused(tmp_path, entry):
    with pytest.raises(torch_weights.RefusedWeights):
        torch_weights.read(weight_file(tmp_path / "w.pth", [entry], range(6)))


@pytest.mark.parametrize("keep", [0, 10, 30, 100, 250, -1, -9])
def test_a_file_that_is_cut_off_is_refused(tmp_path, keep):
    path = weight_file(tmp_path / "w.pth", [tensor("a", 6, (6,), (1,))], range(6))
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(torch_weights.RefusedWeights):
        torch_weights.read(path)


def test_a_newer_form_is_refused_with_the_reason(tmp_path):
    path = weight_file(tmp_path / "w.pth", [], magic=1)
    with pytest.raises(torch_weights.RefusedWeights, match="before 1.6"):
        torch_weights.read(path)


def test_no_torch_is_needed():
    assert "torch" not in sys.modules
