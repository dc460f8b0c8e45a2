"""Measures PyTorch's DataLoader and webdataset, in a Python that has both; `input_peers` runs it.

    python torch_loader.py FOLDER paper|inception BATCH WARM_UP_IMAGES IMAGES KIND

KIND: `folder` of JPEGs or `webdataset`, tars of the same, with `-pillow` or `-simplejpeg`, which
decode. In this process, without workers of their own, so that its CPU time holds all.
"""

import importlib.metadata
import io
import json
import sys
from pathlib import Path

import numpy as np
import simplejpeg
import torch
import webdataset
from answering import answer_of_loader
from PIL import Image
from pillow_crops import crop_of, cut, mirrored


def tensor_of(jpeg: bytes, crop: str, decoder: str, rng: np.random.Generator) -> torch.Tensor:
    """[3, 224, 224], uint8."""
    if decoder == "pillow":
        pixels = crop_of(io.BytesIO(jpeg), crop, rng)
    else:
        decoded = Image.fromarray(simplejpeg.decode_jpeg(jpeg, colorspace="RGB"))
        pixels = mirrored(cut(decoded, crop, rng), rng)
    return torch.from_numpy(np.array(pixels, order="C")).permute(2, 0, 1)


class Folder(torch.utils.data.Dataset):
    """Files, decoded and cut."""

    def __init__(self, files, read):
        self.files, self.read = files, read

    def __len__(self):
        return len(self.files)

    def __getitem__(self, index):
        return self.read(Path(self.files[index]).read_bytes())


def main(folder, crop, batch, warm_up, images, kind):
    """Prints CPU seconds a record, of this process, which runs on its parent's core."""
    torch.set_num_threads(1)
    source, decoder = kind.split("-")
    rng = np.random.default_rng(0)

    def read(jpeg):
        return tensor_of(jpeg, crop, decoder, rng)

    # Endless, or long enough: a folder may hold fewer images than a batch.
    if source == "folder":
        dataset = Folder(sorted(str(path) for path in Path(folder).rglob("*.jpg")), read)
        drawn = int(warm_up) + int(images)
        sampler = torch.utils.data.RandomSampler(dataset, num_samples=drawn)  # epoch after epoch
        loader = torch.utils.data.DataLoader(
            dataset, int(batch), sampler=sampler, num_workers=0, drop_last=True
        )
    else:
        tars = sorted(str(path) for path in Path(folder).rglob("*.tar"))
        dataset = webdataset.WebDataset(tars, resampled=True, shardshuffle=False).shuffle(256)
        dataset = dataset.to_tuple("jpg").map_tuple(read).batched(int(batch), partial=False)
        loader = torch.utils.data.DataLoader(dataset, batch_size=None, num_workers=0)
    answer_of_loader(iter(loader), int(batch), int(warm_up), int(images))


if __name__ == "__main__":
    if sys.argv[1] == "--version":
        versions = [importlib.metadata.version(name) for name in ("torch", "webdataset")]
        print(json.dumps({"version": "{}, webdataset {}".format(*versions)}))
    else:
        main(*sys.argv[1:])
