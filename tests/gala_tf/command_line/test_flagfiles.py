"""Flagfiles as editors of other systems write them."""

import pytest

from gala_tf.command_line import flagfiles

TEXT = "# mine\r\n--seed=5\r\n  --flip=false \t\r\n"


@pytest.mark.parametrize(
    "data", [TEXT.encode(), TEXT.encode("utf-8-sig"), b"--seed=5\r--flip=false"]
)
def test_ends_of_lines_and_marks_of_utf8(tmp_path, data):
    (tmp_path / "a.flags").write_bytes(data)
    assert flagfiles.expand([f"--flagfile={tmp_path}/a.flags"]) == ["--seed=5", "--flip=false"]


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_other_texts_are_refused_in_words(tmp_path, encoding):
    (tmp_path / "a.flags").write_bytes("# café\n--seed=5\n".encode(encoding))
    with pytest.raises(ValueError, match=r"a\.flags: it is no UTF-8 text; save it as UTF-8$"):
        flagfiles.expand([f"--flagfile={tmp_path}/a.flags"])
