"""CSV files as spreadsheets and other systems save them: read, or refused for what they are."""

import pytest

from data_prep.readers import csv_rows

TEXT = "image,xmin\ncafé/0.jpg,1\nb.jpg,2\n"


@pytest.mark.parametrize(
    "data",
    [
        TEXT.encode(),
        TEXT.encode("utf-8-sig"),
        TEXT.replace("\n", "\r\n").encode(),
        TEXT.replace("\n", "\r\n\r\n").encode(),
        TEXT.replace("image,xmin", '"image","xmin"').encode(),
        TEXT.replace("image,xmin", '"image","xmin"').encode("utf-8-sig"),
        TEXT.replace("image,xmin", " Image , XMIN").encode("utf-8-sig"),
    ],
)
def test_texts_that_are_read(tmp_path, data):
    path = tmp_path / "a.csv"
    path.write_bytes(data)
    found = [row for _, row in csv_rows.rows(str(path), ("image", "xmin"))]
    assert found == [{"image": "café/0.jpg", "xmin": "1"}, {"image": "b.jpg", "xmin": "2"}]


@pytest.mark.parametrize(
    "data, why",
    [
        (TEXT.replace("\n", "\r").encode(), "carriage return alone"),
        (TEXT.encode("utf-16"), "not UTF-8 text"),
        (TEXT.encode("utf-16-le"), "not UTF-8 text"),
        (b"PK\3\4" + bytes(99), "spreadsheet or another zip file. Save it as CSV"),
        (b"sep=,\n" + TEXT.encode(), "Remove this line"),
        (TEXT.replace(",", ";").encode(), "semicolons separate its columns"),
        (TEXT.replace(",", "\t").encode(), "tabs separate its columns"),
        (b"<html>", "Add a header, or rename yours"),
    ],
)
def test_texts_that_are_refused(tmp_path, data, why):
    path = tmp_path / "a.csv"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=rf"a\.csv'.*{why}"):
        list(csv_rows.rows(str(path), ("image", "xmin")))


def test_capitals_of_a_name_do_not_count_where_one_column_has_it(tmp_path):
    path = tmp_path / "a.csv"

    def read(head):
        path.write_text(f"{head}\n1,2,3\n")
        return list(csv_rows.rows(str(path), ("image",), optional=("label",)))

    (_, row), *_ = read("Image,LABEL,Other")
    assert row == {"image": "1", "label": "2", "Other": "3"}
    (_, row), *_ = read("Image,image,Label")
    assert row == {"Image": "1", "image": "2", "label": "3"}
    for head, name in (("Image,IMAGE,x", "image"), ("image,Label,LABEL", "label")):
        with pytest.raises(ValueError, match=f"columns {name} must occur once each"):
            read(head)
