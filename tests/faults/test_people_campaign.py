"""The campaign of what people have (`people_campaign.py`): nothing lost, nothing destroyed."""

import pytest
from faults import people_campaign
from faults.people import FAILURE, OUTCOMES, material
from faults.people_campaign import CASES, CLASSES

# Quick ones, of every class and most outcomes.
QUICK = {
    "another's data": ("build into images", "build into data", "images as data set of verify"),
    "names": ("folder in brackets", "folder, stem of NFD", "images NFC, maps NFD"),
    "metadata": ("orientation 65535", "orientation as text", "orientation 6, <"),
    "lost input": ("maps as .bmp, all", "one more: images/ant/batch2/9.jpg", "a link to nowhere"),
    "bad items": ("image cut, fail", "image empty, skip", "map of NaN, fail", "map (H, W, 1)"),
    "endings": ("data_prep.build_tfrecords into a file", "gala_tf.train --train_split=trian"),
}


@pytest.fixture(scope="module", autouse=True)
def kept():
    yield
    material.forget()


@pytest.mark.parametrize("title, name", [(t, name) for t in QUICK for name in QUICK[t]])
def test_an_input_comes_to_what_it_must(title, name):
    verdict = people_campaign.judge(title, name)
    assert verdict.outcome != FAILURE, verdict.text


def test_the_judge_sees_what_changed(monkeypatch):
    """A command that writes into another's folder, or says nothing of a loss, is told."""
    title, name = "lost input", "images as .JPG, all"
    right = people_campaign.judge(title, name)
    assert right.outcome in OUTCOMES and right.outcome != FAILURE, right.text
    case = CASES[title, name]
    monkeypatch.setitem(CASES, (title, name), case._replace(writes=()))
    assert people_campaign.judge(title, name).text.startswith("done, but new")
    monkeypatch.setitem(CASES, (title, name), case._replace(lost=lambda folder: "two maps"))
    assert people_campaign.judge(title, name).outcome == FAILURE


@pytest.mark.slow
def test_the_campaign():
    """`python -m faults.people_campaign` prints the table; here with -s -n 0."""
    assert len(CASES) >= 300 and {title for title, _ in CASES} == set(CLASSES)
    verdicts = [people_campaign.judge(*key) for key in CASES]
    print(people_campaign.table(verdicts))
    failures = [verdict for verdict in verdicts if verdict.outcome == FAILURE]
    assert not failures, "\n".join(f"{v.title}: {v.name}: {v.text}" for v in failures)
