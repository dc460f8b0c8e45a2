"""Tries `add_attention` on networks of `keras.applications`, on the backend that Keras is set to.

    KERAS_BACKEND=jax python experiments/library/architectures.py --files=FOLDER
    python experiments/library/architectures.py --files=FOLDER --predict

Each network has random weights and 64 x 64 pixels. It gets `gala_residual` behind its units, is
compared with itself before, trained for some steps with a map loss at every unit, saved, loaded.
--predict, on TensorFlow, gives the files of all backends to `gala_tf.predict` and compares what it
says with what the network said on its own backend. What has a row in --results is not tried again;
--only=NAME,NAME leaves out the others.
"""

import importlib.metadata
import os
import time
import traceback

import finished
import keras
import numpy as np
from absl import app, flags
from PIL import Image

from gala_tf.losses import ClickmapLoss
from gala_tf.models import add_attention

ARCHITECTURES = (
    "ResNet50",
    "ResNet50V2",
    "MobileNetV2",
    "MobileNetV3Small",
    "EfficientNetB0",
    "ConvNeXtTiny",
    "DenseNet121",
    "ResNet101",
    "MobileNetV3Large",
    "EfficientNetV2B0",
)
BACKENDS = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}
PACKAGES = {"tensorflow": ("tensorflow-cpu", "tensorflow"), "jax": ("jax",), "torch": ("torch",)}
SIDE, CLASSES, IMAGES, STEPS = 64, 5, 4, 3


def picture_files(folder: str) -> list[str]:
    """Writes blocks of colour with noise, SIDE x SIDE, as JPEG: what all backends are given."""
    rng = np.random.default_rng(0)
    blocks = rng.uniform(0, 255, (IMAGES, 8, 8, 3)).repeat(8, 1).repeat(8, 2)
    noisy = (blocks + rng.normal(0, 20, blocks.shape)).clip(0, 255).astype("uint8")
    names = [os.path.join(folder, "pictures", f"{i}.jpg") for i in range(IMAGES)]
    os.makedirs(os.path.dirname(names[0]), exist_ok=True)
    for name, pixels in zip(names, noisy, strict=True):
        Image.fromarray(pixels).save(name, quality=95, subsampling=0)
    return names


def read(names: list[str]) -> np.ndarray:
    """Images [IMAGES, SIDE, SIDE, 3], whole pixel values."""
    return np.stack([np.asarray(Image.open(name)) for name in names]).astype("float32")


def source(name: str, images: np.ndarray) -> keras.Model:
    """The network with random weights, moved batch statistics, and logits of a few units."""
    keras.utils.set_random_seed(0)
    build = getattr(keras.applications, name)
    network = build(
        weights=None, input_shape=(SIDE, SIDE, 3), classes=CLASSES, classifier_activation=None
    )
    rng = np.random.default_rng(1)
    for weight in network.weights:
        if "moving_variance" in weight.path:
            weight.assign(rng.uniform(0.5, 2, weight.shape))
    scale_logits(network, images)
    return network


def scale_logits(network, images) -> None:
    """Scales the head so that the largest logit is 2.

    Else pixels without preprocessing end in probabilities of 0 and 1, which tell nothing.
    """
    largest = np.abs(logits_of(network, images)).max()
    head = [layer for layer in network.layers if layer.weights][-1]
    head.set_weights([weight * (2.0 / largest) for weight in head.get_weights()])


def logits_of(network, images):
    outputs = network(images, training=False)
    logits = outputs["logits"] if isinstance(outputs, dict) else outputs
    return keras.ops.convert_to_numpy(logits).astype("float64")


def probabilities(logits):
    exponentials = np.exp(logits - logits.max(1, keepdims=True))
    return exponentials / exponentials.sum(1, keepdims=True)


def attempt(name: str, folder: str) -> dict:
    """All steps but `predict`; the row says how far it came, and `failed` why no further."""
    row: dict = {"architecture": name, "backend": keras.backend.backend(), "step": "network"}
    row["version"] = version(row["backend"])
    start = time.process_time()
    try:
        images = read(picture_files(folder))
        for found in steps(name, images, os.path.join(folder, row["backend"], f"{name}.keras")):
            row.update(found)
    except Exception as error:  # any kind: a row names it, and the next network is tried
        traceback.print_exc()
        row["failed"] = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    return row | {"cpu_seconds": round(time.process_time() - start)}


def version(backend):
    for package in PACKAGES[backend]:
        try:
            return importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return ""


def steps(name, images, path):
    """Yields what each step found."""
    base = source(name, images)
    before = logits_of(base, images)
    network = add_attention(base, attention="gala_residual")
    volumes = network.output["attention"]
    last = list(volumes.values())[-1]
    changed = np.abs(logits_of(network, images) - before).max()
    yield {"units": len(volumes), "grid": last.shape[1], "channels": last.shape[3]}
    yield {"changed": float(changed), "largest_logit": float(np.abs(before).max())}

    network.compile(
        keras.optimizers.SGD(0.01, clipnorm=1.0),
        {
            "logits": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            "attention": {unit: ClickmapLoss() for unit in volumes},
        },
    )
    maps = np.zeros((IMAGES, SIDE, SIDE, 1), "float32")
    maps[:, 8:32, 16:48] = 1.0
    targets = {"logits": np.arange(IMAGES), "attention": dict.fromkeys(volumes, maps)}
    weights = {unit: network.get_layer(unit).get_weights() for unit in volumes}
    history = network.fit(images, targets, batch_size=IMAGES, epochs=STEPS, verbose=0).history
    if not np.isfinite(history["loss"]).all():
        raise ValueError(f"fit: losses of {history['loss']}")
    map_loss = sum(np.array(v) for k, v in history.items() if k.endswith("gala_residual_loss"))
    still = [
        unit
        for unit, old in weights.items()
        if all(map(np.array_equal, old, network.get_layer(unit).get_weights()))
    ]
    if still:
        raise ValueError(f"fit: no weight of {', '.join(still)} moved")
    yield {"map_loss": [float(map_loss[0]), float(map_loss[-1])]}

    scale_logits(network, images)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    network.save(path)
    keras.backend.clear_session()
    back = keras.saving.load_model(path, safe_mode=True)
    now = logits_of(network, images)
    yield {"reloaded": float(np.abs(logits_of(back, images) - now).max())}
    yield {"probabilities": probabilities(now).round(6).tolist()}


def predict(row: dict, folder: str) -> dict:
    """What `gala_tf.predict` says of a row's file, beside what the network itself said."""
    from gala_tf.evaluation import predicting  # TensorFlow's alone

    place, names = os.path.join(folder, row["backend"]), picture_files(folder)
    found: dict = {key: row[key] for key in ("architecture", "backend")} | {"step": "predict"}
    start, architecture = time.process_time(), row["architecture"]
    out = os.path.join(place, f"{architecture}_predictions")
    try:
        model = os.path.join(place, f"{architecture}.keras")
        said = predicting.predict(names, model, out, crop_fraction=1.0)
        expected = np.array(row["probabilities"])
        same = [int(one["class"]) for one in said] == expected.argmax(1).tolist()
        off = np.abs([one["confidence"] for one in said] - expected.max(1)).max()
        found |= {"same_classes": same, "off": float(off)}
        drawn = os.listdir(os.path.join(out, predicting.DRAWN))
        found["drawn"] = sum(name.endswith(".png") for name in drawn)
    except Exception as error:
        traceback.print_exc()
        found["failed"] = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    return found | {"cpu_seconds": round(time.process_time() - start)}


# --------------------------------------------------------------------------- rows


def load(path: str) -> dict[tuple, dict]:
    """{(architecture, backend, step): row}; {} where there is no file."""
    rows = finished.read(path)
    return {(row["architecture"], row["backend"], row["step"]): row for row in rows}


def table(rows: dict[tuple, dict]) -> str:
    """Markdown: a line a network, a column a backend."""
    tried = [backend for backend in BACKENDS if any(key[1] == backend for key in rows)]
    versions = {key[1]: row["version"] for key, row in rows.items() if key[2] == "network"}
    lines = [
        "| network | units | " + " | ".join(f"{BACKENDS[b]} {versions[b]}" for b in tried) + " |",
        "|---" * (2 + len(tried)) + "|",
    ]
    for name in ARCHITECTURES:
        found = [rows.get((name, backend, "network"), {}) for backend in tried]
        units = next((f"{r['units']} of {r['channels']}" for r in found if "units" in r), "")
        cells = [_cell(rows, name, backend) for backend in tried]
        lines.append(f"| {name} | {units} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(rows, name, backend):
    row = rows.get((name, backend, "network"))
    if row is None:
        return ""
    words = []
    if "changed" in row:
        words.append(f"{row['changed']:.1g}")
    if "map_loss" in row:
        words.append("fits")  # else it would be a failure
    if "reloaded" in row:
        words.append(f"{row['reloaded']:.1g}")
    said = rows.get((name, backend, "predict"), {})
    if "off" in said:
        certain = np.min(np.max(row["probabilities"], axis=1)) > 0.9999  # then numbers tell nothing
        words.append("same classes" if certain else f"{said['off']:.1g}")
        words[-1] = words[-1] if said["same_classes"] else "OTHER CLASSES"
    words += [f"FAILED: {r['failed']}" for r in (row, said) if "failed" in r]
    return "; ".join(words)


def main(_):
    """Tries what has no row."""
    options = flags.FLAGS
    rows = load(options.results)
    if options.predict:
        waiting = [
            (predict, row)
            for (name, backend, step), row in rows.items()
            if step == "network" and "failed" not in row and name in (options.only or [name])
            and (name, backend, "predict") not in rows
        ]  # fmt: skip
    else:
        backend = keras.backend.backend()
        names = options.only or ARCHITECTURES
        waiting = [(attempt, n) for n in names if (n, backend, "network") not in rows]
    for do, what in waiting:
        row = do(what, options.files)
        finished.add(options.results, row)
        print(row, flush=True)


if __name__ == "__main__":
    flags.DEFINE_string("files", "runs/architectures", "Where saved networks and pictures go.")
    flags.DEFINE_string(
        "results", "experiments/library/architectures.jsonl", "Rows of what was tried."
    )
    flags.DEFINE_list("only", [], "Networks to try; all by default.")
    flags.DEFINE_bool("predict", False, "Give saved networks to gala_tf.predict.")
    app.run(main)
