"""The command: which flags go to a run and which to a Keras file; all else is refused."""

import types

import pytest
from absl import flags

from gala_tf import config, evaluate
from gala_tf.evaluation import classifiers, evaluate_run
from gala_tf.evaluation.request import Request


@pytest.fixture
def asked(monkeypatch):
    """What the two evaluations were asked for."""
    found = types.SimpleNamespace(run=None, file=None)

    def of_run(*arguments):
        found.run = arguments

    def of_file(request):
        found.file = request

    monkeypatch.setattr(evaluate_run, "evaluate_run", of_run)
    monkeypatch.setattr(classifiers, "evaluate_classifier", of_file)
    return found


def command(monkeypatch, *arguments):
    values = flags.FlagValues()
    evaluate.define_flags(values)
    values(["", *arguments])
    monkeypatch.setattr(flags, "FLAGS", values)
    evaluate.main()


def test_a_run_is_given_what_differs_from_its_own_flags(monkeypatch, asked):
    command(monkeypatch, "--model_dir=RUN", "--checkpoint=newest", "--data_dir=D", "--noflip")
    assert asked.run == ("RUN", "test", "newest", ("--data_dir=D", "--noflip"))
    command(monkeypatch, "--model_dir=RUN", "--split=validation", "--stage_blocks=1,2")
    assert asked.run == ("RUN", "validation", "best", ("--stage_blocks=1,2",))
    assert asked.file is None


def test_a_file_is_given_its_own_defaults_and_not_those_of_training(monkeypatch, asked):
    command(monkeypatch, "--model=N.keras", "--data_dir=D")
    assert asked.file == Request("N.keras", "D") and asked.file.image_size == 0
    given = ("--image_size=40", "--conventions=paper", "--maps=gradcam:x", "--seed=3")
    command(monkeypatch, "--model=N.keras", "--data_dir=D", *given)
    assert asked.file == Request(
        "N.keras", "D", image_size=40, conventions=("paper",), maps="gradcam:x", seed=3
    )
    assert asked.run is None


def test_flags_of_both_have_no_default_that_would_be_told_to_either():
    values = flags.FlagValues()
    evaluate.define_flags(values)
    assert {"data_dir", "image_size", "crop_fraction", "clickmap_blur", "seed"} < set(
        evaluate.SHARED
    )
    assert all(values[name].default is None for name in evaluate.SHARED)
    assert set(config.names()) | set(Request.__dataclass_fields__) < set(values)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "Give either --model_dir .* or --model"),
        (["--model_dir=RUN", "--model=N.keras"], "Give either --model_dir .* or --model"),
        (["--model=N.keras"], "--model needs --data_dir"),
        (["--model_dir=RUN", "--maps=gradient", "--grid=7"], "--maps, --grid: only .*--model"),
        (
            ["--model=N.keras", "--data_dir=D", "--checkpoint=best", "--epochs=3"],
            "--checkpoint, --epochs: only .*--model_dir",
        ),
    ],
)
def test_what_would_not_be_read_is_refused(monkeypatch, asked, arguments, message):
    with pytest.raises(ValueError, match=message):
        command(monkeypatch, *arguments)
    assert asked.run is None and asked.file is None
