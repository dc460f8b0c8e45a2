"""The metrics for compile have the numbers of the evaluation, ties and all."""

import keras
import numpy as np
import pytest

from gala_tf import losses, metrics
from gala_tf.evaluation import harmonization
from gala_tf.metrics import MapAgreement, TopOverlap

RNG = np.random.default_rng(0)


def volumes(n=6, side=7, channels=5):
    return RNG.normal(size=(n, side, side, channels)).astype("float32")


def clicks(n=6, side=14):
    """Whole counts: many ties."""
    return RNG.poisson(0.3, size=(n, side, side, 1)).astype("float32")


def reference(attention, human, side=7):
    columns = losses.column_norm(attention).numpy()[..., 0]
    blocks = human.reshape(len(human), side, 2, side, 2).sum((2, 4))
    return columns, blocks


def test_map_agreement_is_the_evaluations_number():
    attention, human = volumes(), clicks()
    human[1] = 0  # no map
    attention[2] = 1  # a constant map
    human[3, 0, 0] = np.nan
    columns, blocks = reference(attention, human)
    defined = [0, 4, 5]
    expected = metrics.map_agreement(columns[defined], blocks[defined], seed=0)
    metric = MapAgreement()
    metric.update_state(human[:3], attention[:3])
    metric.update_state(human[3:], attention[3:])
    assert float(metric.images) == expected.images == 3
    assert float(metric.result()) == pytest.approx(expected.spearman, abs=1e-6)
    metric.reset_state()
    metric.update_state(human, attention, sample_weight=np.array([1, 1, 1, 1, 1, 0], "float32"))
    single = metrics.spearman(columns.reshape(6, -1), blocks.reshape(6, -1))
    assert float(metric.result()) == pytest.approx((single[0] + single[4]) / 2, abs=1e-6)


def test_ties_are_exact():
    """By hand: ranks 1, 2.5, 2.5, 4 against 1, 2, 3, 4: rho = 4.5 / sqrt(4.5 x 5)."""
    attention = np.array([1, 2, 2, 3], "float32").reshape(1, 2, 2, 1)
    human = np.array([1, 2, 3, 4], "float32").reshape(1, 2, 2, 1)
    metric = MapAgreement()
    metric.update_state(human, attention)
    assert float(metric.result()) == pytest.approx(4.5 / (4.5 * 5) ** 0.5, rel=1e-6)


@pytest.mark.parametrize("kind", ["dice", "iou"])
@pytest.mark.parametrize("percent", [10, 33])
def test_top_overlap_is_harmonizations(kind, percent):
    attention, human = volumes(), clicks()
    columns, blocks = reference(attention, human)
    score = {"dice": harmonization.dice_top, "iou": harmonization.iou_top}[kind]
    metric = TopOverlap(kind, percent)
    metric.update_state(human, attention)
    expected = score(columns, blocks, percent).mean()
    assert float(metric.result()) == pytest.approx(expected, abs=1e-6) and expected > 0


def test_metrics_come_back_from_their_config():
    for metric in (MapAgreement(), TopOverlap("iou", 5)):
        copy = keras.metrics.deserialize(keras.metrics.serialize(metric))
        assert copy.get_config() == metric.get_config()
    with pytest.raises(ValueError, match="kind must be 'dice' or 'iou'"):
        TopOverlap("jaccard")
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        metrics.Nothing  # noqa: B018


def test_no_image_gives_nan():
    metric = MapAgreement()
    metric.update_state(np.zeros((2, 7, 7, 1), "float32"), volumes(2))
    assert np.isnan(float(metric.result()))
