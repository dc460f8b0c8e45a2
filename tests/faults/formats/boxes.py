"""A CSV of boxes as spreadsheets and labelling tools export it: a header, then a row a box."""

import csv


def write_boxes(path, rows, columns=("image", "xmin", "ymin", "xmax", "ymax", "label")):
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)
