"""Makes the folder of images and clicks from CUB-200-2011 and the gaze of CUB-GHA.

    python experiments/cub_gha/prepare.py --cub_dir=CUB_200_2011 --gaze_dir=CUB-GHA/data_5runs \\
        --output_dir=cub_gha_families

    images/<family>/<species>_<numbers>.jpg   cut out by CUB's boxes, 96x96, of `species.txt`
    clicks.csv         the gaze of five runs, one row a run and image
    clicks_parts.csv   the places of body parts, one row an image

A line of Fixation_run1..5.txt is an image's number, width and height, then x, y and milliseconds of
each fixation, in pixels of the original image. Here a fixation is left out where it lasts less than
100 ms or lies outside of the box; and where it is the first of its line and as long as the last one
of the line before, which it then repeats (an artefact of runs 2 to 5). What remains is a click for
every 200 ms, rounded, at least one.
"""

import csv
from pathlib import Path

from absl import app, flags
from PIL import Image

SIDE = 96
RUNS = range(1, 6)
SHORTEST, CLICK = 100, 200  # ms


def rows_of(path: Path) -> dict[int, list[str]]:
    """{number of an image: the other words of its line} of one of CUB's lists."""
    lines = (line.split() for line in path.read_text().splitlines())
    return {int(words[0]): words[1:] for words in lines if words}


def chosen_images(cub_dir: Path) -> dict[int, tuple[str, str]]:
    """{number: (path in CUB, path here)} of the species of `species.txt`, in CUB's order."""
    species = set(Path(__file__).with_name("species.txt").read_text().split())
    found = {}
    for number, (path,) in rows_of(cub_dir / "images.txt").items():
        folder, name = path.split("/")
        if (kind := folder.partition(".")[2]) in species:
            found[number] = path, f"{kind.rpartition('_')[2]}/{name}"
    return found


def into_box(x: float, y: float, box) -> tuple[float, float] | None:
    """A place of the original image in pixels of the cut one; None outside."""
    left, top, width, height = box
    x, y = (x - left) / width, (y - top) / height
    if not (0 <= x < 1 and 0 <= y < 1):
        return None
    return round(x * SIDE, 1), round(y * SIDE, 1)


def fixations(path: Path):
    """(number of the image, [(x, y, ms)]) of each line, without what repeats the line before."""
    last = None
    for line in path.read_text().splitlines():
        numbers = [int(word) for word in line.split(",") if word]
        seen = list(zip(*(numbers[start::3] for start in (3, 4, 5)), strict=False))
        repeats = bool(seen) and last is not None and seen[0][2] == last
        last = seen[-1][2] if seen else last
        yield numbers[0], seen[repeats:]


def clicks_of_gaze(gaze_dir: Path, boxes) -> dict[int, dict[str, list]]:
    """{number of an image: {run: clicks}} of the images that have a box here."""
    found = {number: {} for number in boxes}
    for run in RUNS:
        for number, seen in fixations(gaze_dir / f"Fixation_run{run}.txt"):
            if number in boxes:
                clicks = found[number].setdefault(f"run{run}", [])
                for x, y, duration in seen:
                    place = into_box(x, y, boxes[number])
                    if place and duration >= SHORTEST:
                        clicks += [place] * max(1, round(duration / CLICK))
    return found


def clicks_of_parts(cub_dir: Path, boxes) -> dict[int, dict[str, list]]:
    """{number of an image: {"parts": places of the parts that are visible}}."""
    found = {number: {"parts": []} for number in boxes}
    for line in (cub_dir / "parts" / "part_locs.txt").read_text().splitlines():
        number, _, x, y, visible = line.split()
        if int(number) in boxes and visible == "1":
            place = into_box(float(x), float(y), boxes[int(number)])
            if place:
                found[int(number)]["parts"].append(place)
    return found


def write_clicks(path: Path, images, clicks) -> None:
    """Writes the file that `--source=clickme_clicks` reads."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["image_path", "clicks", "user_id"])
        for number, (_, name) in images.items():
            for user, places in clicks[number].items():
                if places:
                    text = ", ".join(f"({x:g}, {y:g})" for x, y in places)
                    writer.writerow([name, f"[{text}]", user])


def cut_image(source: Path, target: Path, box) -> None:
    """Cuts the box out and squashes it to a square."""
    left, top, width, height = box
    image = Image.open(source).convert("RGB").crop((left, top, left + width, top + height))
    target.parent.mkdir(parents=True, exist_ok=True)
    image.resize((SIDE, SIDE), Image.Resampling.LANCZOS).save(target, quality=92)


def main(_):
    cub_dir, output = Path(flags.FLAGS.cub_dir), Path(flags.FLAGS.output_dir)
    images = chosen_images(cub_dir)
    boxes = {
        number: [round(float(word)) for word in words]
        for number, words in rows_of(cub_dir / "bounding_boxes.txt").items()
        if number in images
    }
    output.mkdir(parents=True, exist_ok=True)
    gaze = clicks_of_gaze(Path(flags.FLAGS.gaze_dir), boxes)
    write_clicks(output / "clicks.csv", images, gaze)
    write_clicks(output / "clicks_parts.csv", images, clicks_of_parts(cub_dir, boxes))
    for number, (path, name) in images.items():
        cut_image(cub_dir / "images" / path, output / "images" / name, boxes[number])
    print(f"{len(images)} images in {output}")


if __name__ == "__main__":
    flags.DEFINE_string("cub_dir", None, "CUB_200_2011, as unpacked.", required=True)
    flags.DEFINE_string("gaze_dir", None, "The folder data_5runs of CUB-GHA.", required=True)
    flags.DEFINE_string("output_dir", "cub_gha_families", "Where the folder goes.")
    app.run(main)
