"""The corruption campaign: no fault crashes, hangs or passes unseen into a shard."""

import zipfile

import pytest
from faults import data_campaign
from faults.damage import at_random, kinds
from faults.data_campaign import Fault
from faults.trees import TREES

# Faults that passed or crashed before, and one of each tree and of each outcome.
QUICK = [
    Fault("folder", "PNG under a JPEG's name", 0),
    Fault("folder", "map that claims a huge shape", 0),
    Fault("folder", "map is an NPZ file", 0),
    Fault("folder", "map is PostScript, named PNG", 0),
    Fault("tiny_imagenet", "name leads out", 0),
    Fault("tiny_imagenet", "Latin-1", 0),
    Fault("imagenet, folders and XML", "XML width inf", 0),
    Fault("imagenet, tars and lists", "entry that is a symbolic link", 0),
    Fault("imagenet_tfrecords, classic", "image is HTML", 0),
    Fault("imagenet_tfrecords, TFDS", "nested without end", 0),
    Fault("clickme_release, shards", "map with NaN", 0),
    Fault("clickme_release, archive", "bit flip", 0),
    Fault("clickme_release, zips", "image whose head is brackets", 0),
    Fault("clickme_release, NPZ", "empty", 0),
    Fault("clickme_harmonization", "shard of no records", 0),
    Fault("clickme_clicks, CSV", "click negative", 0),
    Fault("clickme_clicks, NPZ", "clicks of Python objects", 0),
    Fault("salicon, JSON", "fixation outside", 0),
    Fault("salicon, MAT", "points of NaN", 0),
    Fault("salicon, maps", "16 bytes become noise", 6),
    Fault("coco", "run lengths of a huge size", 0),
    Fault("boxes", "box inverted", 0),
    Fault("finished shards", "record of another schema version", 0),
]


@pytest.fixture(scope="module", autouse=True)
def trees():
    yield
    data_campaign.forget()


@pytest.mark.parametrize("fault", QUICK, ids=lambda fault: f"{fault.tree}: {fault.kind}")
def test_a_fault_is_named_or_handled(fault):
    verdict = data_campaign.judge(fault)
    assert verdict.outcome != "FAILURE", verdict.text


def test_a_split_whose_images_are_all_skipped_leaves_no_shard():
    """The only image of a split; its empty shard made the data set unreadable."""
    verdict = data_campaign.judge_skipping(
        Fault("clickme_harmonization", "only image of a split is HTML", 0)
    )
    assert verdict.outcome == "left out", verdict.text


def test_the_judge_tells_damage_that_passes(monkeypatch):
    """Without the comparison of checksums an altered PNG would pass; the judge must see it."""
    fault = Fault("folder", "16 bytes become noise", 0)
    assert data_campaign.judge(fault).outcome == "named"
    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.verify", lambda self: None)
    assert data_campaign.judge(fault).outcome == "FAILURE"


def test_faults_are_the_same_by_seed(tmp_path):
    original, _ = data_campaign.undamaged("clickme_release, archive")
    data = (original / "clickme_train.tfrecords").read_bytes()
    found = set()
    for number in range(2):
        root = tmp_path / str(number)
        root.mkdir()
        for path in original.iterdir():
            (root / path.name).write_bytes(path.read_bytes())
        assert kinds.make(root, "clickme_release, archive", "bit flip", 3).file
        found.add(b"".join(path.read_bytes() for path in sorted(root.iterdir())))
    assert len(found) == 1 and data not in found


def test_a_bomb_is_one(tmp_path):
    """What the campaign calls a bomb unpacks to two gigabytes, and claims less."""
    damage = kinds.PARTICULAR["clickme_release, zips"]["a bomb that does not, as a member"]
    damage(tmp_path, None)
    with zipfile.ZipFile(tmp_path / "clickme_train.zip") as archive:
        (info,) = archive.infolist()
        assert info.file_size == 1_000_000
        assert info.compress_size < 2**23


@pytest.mark.slow
def test_the_campaign():
    """`python -m faults.data_campaign` prints the table; here with -s -n 0."""
    verdicts = [data_campaign.judge(fault) for fault in data_campaign.campaign()]
    skipped = [data_campaign.judge_skipping(fault) for fault in data_campaign.skippable(verdicts)]
    print(data_campaign.table(verdicts))
    failures = [v for v in (*verdicts, *skipped) if v.outcome == "FAILURE"]
    assert not failures, data_campaign.details(failures)
    assert len(verdicts) > 2000
    assert {v.fault.tree for v in verdicts} == set(TREES)
    assert {v.fault.kind for v in verdicts} >= set(at_random.KINDS)
