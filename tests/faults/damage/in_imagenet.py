"""Damage to ILSVRC12's tars, lists and annotations."""

import gzip
import io
import struct
import tarfile

from faults.damage import LEFT_OUT, NAMED, Damage, file, line, pictures, png_bomb, told_as
from faults.formats import imagenet
from faults.trees import devkit_numbers

_XML = "boxes/Annotation/n01440764/n01440764_9.xml"
_TRAIN = "ILSVRC2012_img_train.tar"
_VAL = "ILSVRC2012_img_val.tar"
_TRUTH = "ILSVRC2012_validation_ground_truth.txt"


def _xml(*changes, **others):
    """The first annotation with texts replaced: old, new, old, new ..."""

    def damage(root, rng):
        text = (root / _XML).read_text()
        for old, new in zip(changes[::2], changes[1::2], strict=True):
            text = text.replace(old, new, 1)
        (root / _XML).write_text(text)
        return Damage(_XML, **others)

    return damage


def _entities():
    """Each of eight is sixteen of the one before: 64 GB."""
    names = "abcdefghi"
    nested = "".join(
        f'<!ENTITY {outer} "{f"&{inner};" * 16}">'
        for inner, outer in zip(names, names[1:], strict=False)
    )
    return (
        f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaaaaaaaa">{nested}]>'
        "<annotation><size><width>&i;</width></size></annotation>"
    )


_OUTER = '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><annotation>&x;</annotation>'
_NO_EXTENT = {"allowed": LEFT_OUT, "said": "n01440764_9.*1 boxes without extent were left out"}

FOLDERS = {
    **pictures("in"),
    "XML bomb": file(_XML, _entities()),
    "XML with an outer entity": file(_XML, _OUTER),
    "XML without a corner": _xml("<ymax>48</ymax>", ""),
    "XML corner of text": _xml("<ymax>48<", "<ymax>low<"),
    "XML corner of NaN": _xml("<ymax>48<", "<ymax>nan<"),
    "XML corner of inf": _xml("<ymax>48<", "<ymax>inf<"),
    "XML width 0": _xml("<width>64<", "<width>0<"),
    "XML width negative": _xml("<width>64<", "<width>-64<"),
    "XML width inf": _xml("<width>64<", "<width>inf<"),
    "XML without size": _xml("<width>64</width>", ""),
    "XML of 2 MB": file(_XML, f"<annotation>{' ' * 2**21}</annotation>"),
    "XML box without extent": _xml("<xmax>60<", "<xmax>16<", **_NO_EXTENT),
    "XML box outside": _xml("<xmin>16<", "<xmin>70<", "<xmax>60<", "<xmax>80<", **_NO_EXTENT),
    "image of another class": file("in/train/n02105855/n01440764_77.JPEG", imagenet.picture(81)),
    "unknown class": file("in/train/n99999999/n99999999_1.JPEG", imagenet.picture(81)),
    "validation image of another class": file(
        "in/val/n02105855/ILSVRC2012_val_00000004.JPEG", imagenet.picture(81)
    ),
    "image beside the folders": told_as(
        file("in/val/ILSVRC2012_val_00000005.JPEG", imagenet.picture(81)), file="in/val"
    ),
    "split twice": told_as(
        file("in/validation/n02105855/x.JPEG", imagenet.picture(81)), file="in/validation"
    ),
    "image larger than any": file(
        "in/train/n02105855/n02105855_3.JPEG", imagenet.picture(81) + bytes(2**26)
    ),
}


def _tar_of(files, attributes=(), plain=()):
    """A tar of `plain`, and of `files` with attributes such as type and linkname."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, data in (*dict(plain).items(), *files.items()):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            for attribute, value in dict(attributes).items() if name in files else ():
                setattr(info, attribute, value)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def _entry(name, data=b"", place="entry", **attributes):
    """A training tar of one class, with another entry beside its image."""
    plain = {"n01440764_9.JPEG": imagenet.picture(0)}
    inner = _tar_of({name: data}, attributes, plain)
    return file(_TRAIN, imagenet.tar_bytes({"n01440764.tar": inner}), place)


def _path(name, place="entry"):
    return _entry(name, imagenet.picture(5), place)


def _twice():
    """An entry twice, with two pictures; found by the builder, which knows images by their ids."""
    one, two = (imagenet.tar_bytes({"n01440764_9.JPEG": imagenet.picture(i)}) for i in (0, 1))
    head = 512 + -(-len(imagenet.picture(0)) // 512) * 512
    kind = file(_TRAIN, imagenet.tar_bytes({"n01440764.tar": one[:head] + two}), "Two examples")
    return told_as(kind, file="n01440764_9.JPEG")


def _field(offset, value):
    """A field of the training tar's first header, the header's checksum made right again."""

    def damage(root, rng):
        path = root / _TRAIN
        data = bytearray(path.read_bytes())
        data[offset : offset + len(value)] = value
        data[148:156] = b" " * 8
        data[148:156] = b"%06o\0 " % sum(data[:512])
        path.write_bytes(data)
        return Damage(_TRAIN, "entry|byte")

    return damage


def _pax(place, **headers):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo("n01440764.tar")
        info.pax_headers = headers
        tar.addfile(info, io.BytesIO())
    return file(_TRAIN, buffer.getvalue(), place)


def _gzipped():
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="w") as packed:
        packed.write(imagenet.tar_bytes({"n01440764.tar": _INNER}))
    return buffer.getvalue()


def _image(data):
    """An image in the tar."""
    inner = imagenet.tar_bytes({"n01440764_9.JPEG": data, "n01440764_7.JPEG": imagenet.picture(7)})
    kind = file(_TRAIN, imagenet.tar_bytes({"n01440764.tar": inner}), "n01440764_9.JPEG")
    return told_as(kind, alone=False)


_INNER = imagenet.tar_bytes({"n01440764_5.JPEG": imagenet.picture(5)})
_LINK = {"linkname": "/etc/passwd", "place": "n01440764_5.JPEG"}


def _train(files, place):
    return file(_TRAIN, imagenet.tar_bytes(files), place)


TARS = {
    "entry absolute": _path("/etc/n01440764_5.JPEG", "'/etc/n01440764_5.JPEG"),
    "entry leads out": _path("../../n01440764_5.JPEG", r"\.\./\.\./n01440764_5.JPEG"),
    "entry leads out in the middle": _path("a/../../n01440764_5.JPEG", r"\.\./n01440764_5.JPEG"),
    "entry with a backslash": _path("..\\n01440764_5.JPEG", "n01440764_5.JPEG"),
    "entry with a drive": _path("C:/n01440764_5.JPEG", "C:/n01440764_5.JPEG"),
    "entry with control characters": _path("n01440764_5\x1b[2J.JPEG", "n01440764_5"),
    "entry with a name of 2000 characters": _path("a" * 2000 + ".JPEG", "aaaa"),
    "entry that is a symbolic link": _entry("n01440764_5.JPEG", type=tarfile.SYMTYPE, **_LINK),
    "entry that is a hard link": _entry("n01440764_5.JPEG", type=tarfile.LNKTYPE, **_LINK),
    "entry that is a device": _entry("n01440764_5.JPEG", type=tarfile.CHRTYPE),
    "entry that is a disk": _entry("n01440764_5.JPEG", type=tarfile.BLKTYPE),
    "entry that is a pipe": _entry("n01440764_5.JPEG", type=tarfile.FIFOTYPE),
    "entry that is sparse": _entry("n01440764_5.JPEG", type=tarfile.GNUTYPE_SPARSE),
    "entry twice": _twice(),
    "size of a terabyte": _field(124, b"\x80" + bytes(3) + struct.pack(">Q", 2**40)),
    "size negative": _field(124, b"\xff" * 12),
    "size of text": _field(124, b"zzzzzzzzzzz\0"),
    "pax size": _pax("'size'", size="999999999"),
    "pax path": _pax("x.tar", path="../../x.tar"),
    "pax linkpath": _pax("'linkpath'", linkpath="/etc/passwd"),
    "pax GNU sparse": _pax("sparse", **{"GNU.sparse.major": "1"}),
    "gzip": file(_TRAIN, _gzipped(), "gzip"),
    "tar in the tar cut off": _train({"n01440764.tar": _INNER[:700]}, "n01440764.tar"),
    "tar in the tar is HTML": _train({"n01440764.tar": b"<html>" * 200}, "n01440764.tar"),
    "tar of an unknown class": _train({"n99999999.tar": _INNER}, "n99999999"),
    "tar of another class": _train({"n02105855.tar": _INNER}, "n01440764_5"),
    "image outside the classes": _train({"a.JPEG": imagenet.picture(6)}, "a.JPEG"),
    "image is HTML": _image(b"<html>" * 50),
    "image is empty": _image(b""),
    "image is a bomb": _image(png_bomb()),
    "validation image of no number": file(
        _VAL,
        imagenet.tar_bytes({"ILSVRC2012_val_99999999.JPEG": imagenet.picture(6)}),
        "ILSVRC2012_val_99999999",
    ),
}


def _truth(change, place="", allowed=NAMED):
    """The list of validation classes, changed as a list of text."""

    def damage(root, rng):
        values = change([str(number) for number in devkit_numbers()])
        imagenet.write_lines(root / _TRUTH, values)
        return Damage(_TRUTH, place, allowed)

    return damage


def _at_71(value):
    return _truth(lambda values: [*values[:70], value, *values[71:]], "line 71|image 71|71")


def _box(text, **others):
    return line("boxes.csv", 1, text, **others)


TARS |= {
    # What is left is right, and a line says that it is not all.
    "ground truth one short": _truth(lambda v: v[:-1], allowed=frozenset({"harmless"})),
    "ground truth one short in the middle": _truth(lambda v: [*v[:25_500], *v[25_501:]]),
    "ground truth of 10 lines": _truth(lambda v: v[:10], "ILSVRC2012_val_00000293"),
    "ground truth one short in front": _truth(lambda v: v[1:]),
    "ground truth one too many": _truth(lambda v: [*v, v[0]]),
    "ground truth from 0": _truth(lambda v: [str(int(n) - 1) for n in v]),
    "ground truth turned": _truth(lambda v: [str((int(n) + 17) % 1000 + 1) for n in v]),
    "ground truth backwards": _truth(lambda v: v[::-1]),
    "ground truth of ones": _truth(lambda v: ["1"] * 50_000),
    "ground truth that counts": _truth(lambda v: [str(i + 1) for i in range(50_000)]),
    "ground truth with 0": _at_71("0"),
    "ground truth with 1001": _at_71("1001"),
    "ground truth with -1": _at_71("-1"),
    "ground truth with nothing": _at_71(""),
    "ground truth with a WordNet id": _at_71("n01440764"),
    "ground truth with one other": _truth(lambda v: [*v[:70], str(int(v[70]) % 1000 + 1), *v[71:]]),
    "box inverted": _box("n01440764_9.JPEG,0.5000,0.0,0.2000,0.5"),
    "box outside": _box("n01440764_9.JPEG,0.0,0.0,1.2,0.5"),
    "box negative": _box("n01440764_9.JPEG,-0.1,0.0,0.2,0.5"),
    "box of NaN": _box("n01440764_9.JPEG,0.0,nan,0.2,0.5"),
    "box of text": _box("n01440764_9.JPEG,0.0,low,0.2,0.5"),
    "box of five": _box("n01440764_9.JPEG,0.0,0.1,0.2,0.5,0.6"),
    "box without extent": _box("n01440764_9.JPEG,0.5,0.1,0.5,0.5", allowed=LEFT_OUT, said="extent"),
    "box name of 100 characters": _box("n" * 100 + ",0.0,0.1,0.2,0.5"),
}
