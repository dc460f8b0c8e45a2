"""Starting from weights that are there, through the real loop."""

import dataclasses
import json
import os

import keras
import numpy as np
import pytest
import small_data

from gala_tf.runs import directory
from gala_tf.training import fine_tuning, loop, optimizers

SHORT = dict(epochs=1.0, warmup_epochs=0.0, validation_split="", steps_per_loop=5)


@pytest.fixture(scope="module")
def first(data_dir, tmp_path_factory):
    """A finished run without attention: its directory."""
    path = str(tmp_path_factory.mktemp("first"))
    run_config = small_data.small_config(
        data_dir, path, attention="none", map_loss_weight=0.0, **SHORT
    )
    loop.train_and_evaluate(run_config)
    return path


def weights_of(path):
    network = directory.open_run(path, weights="best").network
    return {v.path: v.numpy() for v in network.weights}


@pytest.mark.slow
def test_a_run_goes_on_from_another_with_attention_and_frozen_parts(
    data_dir, first, tmp_path, capsys
):
    run_config = small_data.small_config(
        data_dir,
        tmp_path / "second",
        attention="gala_residual",
        init_from=first,
        freeze=("stem", "stage1"),
        new_layers_rate=3.0,
        clip_gradient_norm=1.0,
        map_loss_reduction="mean",
        **SHORT,
    )
    loop.train_and_evaluate(run_config)
    said = capsys.readouterr().out
    assert "new: stage1_block1_gala_residual, stage2_block1_gala_residual" in said
    noted = json.loads((tmp_path / "second" / fine_tuning.INITIAL_FILE).read_text())
    assert {path.split("/")[0] for path in noted["new"]} == {
        "stage1_block1_gala_residual",
        "stage2_block1_gala_residual",
    }
    before, after = weights_of(first), weights_of(run_config.model_dir)
    for path, value in before.items():
        frozen = path.startswith(("stem_", "stage1_"))
        assert np.array_equal(value, after[path]) == frozen, path
    # A frozen stage's attention does not move, either; stage 2's does.
    assert not np.any(after["stage1_block1_gala_residual/additive"])
    assert np.any(after["stage2_block1_gala_residual/additive"])

    # It goes on without the run that it began with.
    os.rename(first, f"{first}-moved")
    try:
        longer = dataclasses.replace(run_config, epochs=2.0, allow_flag_changes=True)
        loop.train_and_evaluate(longer)
    finally:
        os.rename(f"{first}-moved", first)
    assert "loaded" not in capsys.readouterr().out


def test_what_cannot_be_is_refused(data_dir, first, tmp_path):
    def trained(**changes):
        small = small_data.small_config(data_dir, tmp_path / "run", **{**SHORT, **changes})
        loop.train_and_evaluate(small)

    with pytest.raises(ValueError, match="--init_from=x.pth: .*weights_only=True"):
        trained(init_from="x.pth")
    with pytest.raises(ValueError, match="--freeze=stage9: .*no part 'stage9'"):
        trained(freeze=("stage9",))
    with pytest.raises(ValueError, match=f"--init_from={first}: .*weights of another network"):
        trained(init_from=first, stage_widths=(12, 12))
    with pytest.raises(ValueError, match="--new_layers_rate=2.0 .*Give --init_from"):
        trained(new_layers_rate=2.0)


def test_new_layers_learn_at_their_own_rate():
    """One step by hand: w <- w - rate x factor x (1 + momentum) x gradient."""
    old, new = (keras.Variable([1.0], name=name) for name in ("old", "new"))
    for one_kernel in (True, False):
        old.assign([1.0])
        new.assign([1.0])
        optimizer = optimizers.make_optimizer(
            0.1, 0.9, False, one_kernel, rate_factors={new.path: 5.0}
        )
        optimizer.build([old, new])
        optimizer.apply([np.array([1.0], "float32")] * 2, [old, new])
        np.testing.assert_allclose([old[0], new[0]], [1 - 0.19, 1 - 5 * 0.19], rtol=1e-6)


def test_a_long_gradient_is_shortened():
    """The norm of (3, 4) is 5; clipped to 1 it is (0.6, 0.8)."""
    a, b = (keras.Variable([0.0], name=name) for name in "ab")
    optimizer = optimizers.make_optimizer(1.0, 0.0, False, clip_norm=1.0)
    optimizer.build([a, b])
    optimizer.apply([np.array([3.0], "float32"), np.array([4.0], "float32")], [a, b])
    np.testing.assert_allclose([a[0], b[0]], [-0.6, -0.8], rtol=1e-6)
