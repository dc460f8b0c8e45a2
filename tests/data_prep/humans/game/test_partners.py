"""The contract of partners: classes met by id or name, ranks, and refusals that say why."""

import numpy as np
import pytest

from data_prep.humans.game import partners, rules
from data_prep.humans.game.partners import reference
from data_prep.humans.game.partners.classes import Classes, from_names, unknown
from data_prep.humans.game.partners.looking import Looking, resized
from data_prep.humans.game.rules import Rules

RULES = Rules()
ANIMALS = Classes(("n1", "n2", "n3"), ("tench", "crane", "crane"))


def test_pictures_meet_by_id_then_by_name():
    assert ANIMALS.index("n3", "crane") == 2
    assert ANIMALS.index(name="Tench ") == 0
    assert from_names(["n02123045", "dog"]).index("n02123045") == 0


@pytest.mark.parametrize("wnid, name", [("n9", "tench"), ("", "crane"), ("", "whale")])
def test_what_is_unknown_or_ambiguous_is_refused(wnid, name):
    with pytest.raises(ValueError, match="partner"):
        ANIMALS.index(wnid, name)


def test_unknown_pictures_are_named():
    found = unknown(ANIMALS, [("a.jpg", "n1", "tench"), ("b.jpg", "n9", "whale")])
    assert len(found) == 1 and "b.jpg" in found[0] and "n9" in found[0]


@pytest.mark.parametrize("spec", ["", "magic", "onnx", "onnx:", "demo:x"])
def test_a_partner_that_does_not_exist_is_refused(spec):
    with pytest.raises(ValueError, match="expected one of demo, onnx:FILE"):
        partners.load(spec, RULES)


# --------------------------------------------------------------------------- reference


@pytest.mark.parametrize("share", ["3", "0", "-1", "nan", "half"])
def test_a_threshold_that_cannot_be_is_refused(share):
    with pytest.raises(ValueError, match=f"reference:{share}: expected the share"):
        partners.load(f"reference:{share}", RULES)
    assert partners.load("reference:0.9", RULES).threshold == 0.9


def test_the_reference_partner_recognises_at_its_threshold():
    weights = np.zeros((256, 256))
    weights[100:110, 100:110] = 1  # 100 pixels
    pixels = np.zeros((1, 256, 256, 3), np.uint8)
    partner = partners.load(
        "reference", RULES, masks={reference.picture_key(pixels[0]): weights}, threshold=0.25
    )
    for count, rank in ((0, 10), (12, 7), (24, 2), (25, 1), (100, 1)):
        shown = np.zeros(256 * 256, bool)
        shown[np.flatnonzero(weights)[:count]] = True
        answer = partner.answer(pixels, shown.reshape(1, 256, 256), np.array([4]))
        assert answer.rank[0] == rank
        assert (answer.top5_class[0] == 4).any() == (rank <= 5)
        if rank <= 5:
            assert answer.top5_class[0][rank - 1] == 4


def test_describing_names_the_masks():
    plain = partners.load("reference", RULES)
    masked = partners.load("reference", RULES, masks={"a": reference.disc(10)})
    assert plain.describe()["sha256"] != masked.describe()["sha256"]
    assert plain.describe() == partners.load("reference", RULES).describe()
    assert {"name", "kind", "sha256", "classes", "crop", "rules"} == set(plain.describe())


# --------------------------------------------------------------------------- networks


class Colours:
    """A network: probabilities are the mean red, green and blue of what it sees."""

    side = 32

    def probabilities(self, pixels):
        assert pixels.shape[1:] == (32, 32, 3)
        mean = pixels.mean((1, 2)) + 1
        return (mean / mean.sum(1, keepdims=True)).astype(np.float32)


def colours(game=RULES, count=3):
    names = tuple("red green blue grey".split()[:count])
    return Looking(Colours(), Classes(("",) * count, names), game, {"name": "colours"})


def test_a_network_sees_what_the_bubbles_show():
    blue = np.zeros((2, 256, 256, 3), np.uint8)
    blue[..., 2] = 255
    masks = np.stack([rules.view_mask([], 21), rules.view_mask([(128, 128)], 21)])
    answer = colours(Rules(background="black")).answer(blue, masks, np.array([2, 2]))
    assert answer.rank.tolist() == [3, 1]  # nothing shown: all equal, ties count against
    assert answer.top5_class[1].tolist()[0] == 2 and answer.top5_class[1].tolist()[3:] == [-1, -1]
    assert answer.probability[1] == answer.top5_probability[1][0]


def test_seeds_decide_the_noise():
    pixels = np.full((2, 256, 256, 3), 128, np.uint8)
    masks, targets = np.zeros((2, 256, 256), bool), np.array([0, 0])
    partner = colours(Rules(background="legacy_noise"))
    same = partner.answer(pixels, masks, targets, np.array([5, 5])).probability
    other = partner.answer(pixels, masks, targets, np.array([5, 6])).probability
    assert same[0] == same[1] and other[0] != other[1]


def test_another_number_of_classes_is_a_failure():
    with pytest.raises(partners.PartnerFailed, match="4 classes"):
        colours(count=4).look(np.zeros((1, 256, 256, 3), np.uint8))


def test_resizing_is_antialiased():
    stripes = np.zeros((1, 64, 64, 3), np.uint8)
    stripes[:, :, ::2] = 200
    assert np.abs(resized(stripes, 16)[:, :, 2:-2].astype(int) - 100).max() <= 2
    assert resized(stripes, 64) is stripes
