"""What is tried again, and what is not. Full disks are in `failing/in_storage.py`."""

import pytest
import tensorflow as tf

from gala_tf.data import files
from gala_tf.resilience import full_disk


def test_returns_what_was_written(tmp_path):
    assert full_disk.keep_trying(lambda: 7, "a file", str(tmp_path)) == 7


def test_the_message_says_what_why_how_much_and_what_is_left(tmp_path):
    def full():
        raise tf.errors.ResourceExhaustedError(
            None, None, "{{function_node x}} /disk/part; No space left on device [Op:SaveV2]"
        )

    with pytest.raises(full_disk.StorageError) as caught:
        full_disk.keep_trying(full, "step 3", str(tmp_path / "none"), left="Step 2 is there.")
    text = str(caught.value)
    assert text.startswith("step 3 could not be written: /disk/part; No space left on device (")
    assert f"MB are free in {tmp_path}). Step 2 is there. Make room" in text


@pytest.mark.parametrize(
    "error",
    [ValueError("a shape"), tf.errors.InvalidArgumentError(None, None, "a shape"), KeyError("x")],
)
def test_other_errors_pass_at_once(tmp_path, error):
    calls = []

    def write():
        calls.append(1)
        raise error

    with pytest.raises(type(error)):
        full_disk.keep_trying(write, "a file", str(tmp_path), patience=60.0)
    assert len(calls) == 1


def test_free_space_of_what_is_not_there_yet(tmp_path):
    assert f"MB are free in {tmp_path}" in full_disk.free_space(str(tmp_path / "a" / "b"))
    assert full_disk.free_space("gs://bucket/run") == "in gs://bucket/run"


def test_append_leaves_nothing_of_what_fails(tmp_path, monkeypatch):
    path = tmp_path / "lines"
    files.append(str(path), "one\n")

    class Full:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def write(self, text):
            with open(path, "ab") as file:
                file.write(text[:2])
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "open", lambda *_: Full(), raising=False)
    with pytest.raises(OSError, match="No space left.*lines"):
        files.append(str(path), "two\n")
    monkeypatch.undo()
    files.append(str(path), "two\n")
    assert path.read_text() == "one\ntwo\n"
