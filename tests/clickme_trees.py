"""ClickMe's published forms for `fault_trees.py`: releases as floats, as JPEG, and raw clicks."""

import shutil

import numpy as np
from fake_trees import write_image
from faults.formats import clickme_clicks, clickme_harmonization, clickme_release


def pixels(seed: int, side: int = 256) -> np.ndarray:
    """uint8 [side, side, 3], another picture for every seed."""
    small = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
    return small.repeat(side // 8, 0).repeat(side // 8, 1)


def heatmap() -> np.ndarray:
    """float32 [256, 256]: 2 on rows 10...13 and columns 20...29."""
    values = np.zeros((256, 256), np.float32)
    values[10:14, 20:30] = 2
    return values


def raw(seed, upper, **changes):
    image = pixels(seed).astype(np.float32) * np.float32(upper / 255)
    fields = {"image": image, "label": seed, "heatmap": heatmap(), "click_count": 5}
    return clickme_release.record(**(fields | changes))


def release_shards(root):
    for shard in range(2):
        records = [raw(2 * shard + i, 1, bbox=[10, 20, 14, 30]) for i in range(2)]
        clickme_release.write_records(str(root / f"train-{shard:05d}-of-00002"), records)
    plain = clickme_release.record(pixels(7) / np.float32(255), 7)
    clickme_release.write_records(str(root / "val-00000-of-00001"), [plain])


def release_archive(root):
    for split, seeds in (("train", (0, 1, 2)), ("test", (3,))):
        path = str(root / f"clickme_{split}.tfrecords")
        clickme_release.write_records(path, [raw(seed, 255) for seed in seeds])


def release_folders(root):
    for split, seeds in (("clickme_train", (0, 1, 2)), ("clickme_test", (3,))):
        for number, seed in enumerate(seeds):
            image = pixels(seed).astype(np.float32)
            clickme_release.write_npz(str(root / split), number, image, heatmap(), 5, seed)


def release_zips(root):
    release_folders(root)
    for folder in sorted(root.iterdir()):
        clickme_release.zip_folder(str(folder), str(folder) + ".zip")
        shutil.rmtree(folder)


def jpeg_record(seed: int, **changes) -> bytes:
    """A record of the Harmonization release."""
    jpeg = clickme_harmonization.jpeg
    grey = np.zeros((256, 256, 1), np.uint8)
    grey[40:60, 100:140] = 200
    fields = {"image": jpeg(pixels(seed)), "heatmap": jpeg(grey), "label": seed}
    return clickme_harmonization.record(**(fields | changes))


def harmonization(root):
    clickme_harmonization.write_shard(root, "train", 0, [jpeg_record(seed) for seed in range(3)])
    clickme_harmonization.write_shard(root, "train", 1, [jpeg_record(3)])
    clickme_harmonization.write_shard(root, "val", 0, [jpeg_record(4)])


CLICK_COLUMNS = (
    "image_path",
    "clicks",
    "user_id",
    "timestamp",
    "user_catch_trial",
    "is_mobile",
)


def _click_rows():
    rng = np.random.default_rng(0)
    rows = []
    for number in range(12):
        name = ("cat", "dog")[number % 2]
        rows.append(
            {
                "image_path": f"imagenet/train/{name}/{name[0]}{number % 6 // 2}.jpg",
                "clicks": [tuple(map(int, rng.integers(0, 64, 2))) for _ in range(4)],
                "user_id": f"u{number}",
                "timestamp": 1_700_000_000 + number,
                "user_catch_trial": 0.5 if number == 10 else 1.0,
                "is_mobile": number == 11,
            }
        )
    return rows


def _click_images(root):
    for seed, name in enumerate(("cat", "dog")):
        for number in range(3):
            path = root / "images" / name / f"{name[0]}{number}.jpg"
            write_image(path, 10 * seed + number, 64, 64)


def clicks_csv(root):
    _click_images(root)
    clickme_clicks.write_csv(root / "clicks.csv", _click_rows(), columns=CLICK_COLUMNS)


def click_arrays() -> dict[str, np.ndarray]:
    """The rows as `click_npz.CONVERSION` turns the published NPZ file into plain numbers."""
    rows = _click_rows()
    points = [point for row in rows for point in row["clicks"]]
    return {
        "file_pointer": np.asarray([row["image_path"] for row in rows]),
        "user_id": np.asarray([row["user_id"] for row in rows]),
        "clickmap_x": np.asarray([x for x, _ in points]),
        "clickmap_y": np.asarray([y for _, y in points]),
        "clickmap_offsets": np.cumsum([0] + [len(row["clicks"]) for row in rows]),
        "user_catch_trial": np.asarray([row["user_catch_trial"] for row in rows]),
        "is_mobile": np.asarray([row["is_mobile"] for row in rows]),
    }


def clicks_npz(root):
    _click_images(root)
    np.savez_compressed(root / "clicks.npz", **click_arrays())
