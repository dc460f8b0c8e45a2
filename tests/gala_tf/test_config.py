"""Flags, flagfiles and Config say the same thing; what is out of range is refused by name."""

import dataclasses
import re

import pytest
from absl import flags

from gala_tf import command, config

FIELDS = {field.name: field for field in dataclasses.fields(config.Config)}


def parsed(*arguments):
    return config.from_arguments(arguments, "here")


TUPLES = {
    "tuple[int, ...]": (1, 20),
    "tuple[float, ...]": (1.5, 20.0),
    "tuple[str, ...]": ("stem", "stage1"),
}


def another(name):
    """A legal value of a field that is not its default."""
    default = getattr(config.Config(), name)
    choices = FIELDS[name].metadata["choices"]
    if choices:
        return next(choice for choice in choices if choice != default)
    by_type = {
        bool: lambda: not default,
        int: lambda: default + 1,
        float: lambda: default / 2 + 0.1234567890123,
        str: lambda: "a/b c#d=e:--f",
        tuple: lambda: TUPLES[str(FIELDS[name].type)],
    }
    return by_type[type(default)]()


# --------------------------------------------------------------------------- the list


def test_defaults_are_valid_and_the_papers():
    run_config = config.Config()
    assert (run_config.map_loss_weight, run_config.reduction_ratio, run_config.depth) == (6, 4, 50)
    assert (run_config.epochs, run_config.decay_epochs) == (100, (30, 60, 80, 90))
    assert (run_config.image_size, run_config.image_size / run_config.crop_fraction) == (224, 256)
    assert run_config.clickmap_blur == "box:49" and run_config.attention_units == "stage3"


@pytest.mark.parametrize("name", FIELDS)
def test_every_field_is_documented_and_typed(name):
    field, default = FIELDS[name], getattr(config.Config(), name)
    assert len(field.metadata["help"]) > 4
    assert type(default) is (tuple if str(field.type) in TUPLES else field.type)
    assert not field.metadata["choices"] or default in field.metadata["choices"]


def test_config_cannot_be_changed_in_place():
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.Config().seed = 1


def test_flags_are_the_fields():
    values = flags.FlagValues()
    config.define_flags(values)
    assert set(config.names()) == set(FIELDS) == set(values)
    for name, field in FIELDS.items():
        assert field.metadata["help"] in values[name].help  # absl puts an enum's choices ahead
    values.mark_as_parsed()
    assert config.from_flags(values) == config.Config()


# --------------------------------------------------------------------------- there and back


@pytest.mark.parametrize("name", FIELDS)
def test_each_flag_reaches_its_field(name):
    value = another(name)
    expected = dataclasses.replace(config.Config(), **{name: value})
    text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
    assert parsed(f"--{name}={text}") == expected
    assert getattr(expected, name) != getattr(config.Config(), name)


@pytest.fixture
def everything_changed():
    changed = config.Config(**{name: another(name) for name in FIELDS})
    assert all(getattr(changed, name) != getattr(config.Config(), name) for name in FIELDS)
    return changed


def test_flagfile_round_trip(tmp_path, everything_changed):
    for number, run_config in enumerate((config.Config(), everything_changed)):
        path = tmp_path / f"{number}.flags"
        path.write_text(config.to_flagfile(run_config))
        assert parsed(f"--flagfile={path}") == run_config
        assert parsed(*config.to_flagfile(run_config).splitlines()) == run_config
        assert config.to_flagfile(parsed(f"--flagfile={path}")) == path.read_text()


def test_flagfile_holds_every_flag_once(everything_changed):
    lines = config.to_flagfile(everything_changed).splitlines()
    assert [re.match(r"--(\w+)=", line).group(1) for line in lines] == list(FIELDS)
    assert "--flip=false" in lines and "--decay_epochs=1.5,20.0" in lines


def test_as_the_command_line_serialises_it(everything_changed):
    """`gala_tf.evaluate` passes flags that were given on as absl writes them."""
    values = flags.FlagValues()
    config.define_flags(values)
    values(["", *config.to_flagfile(everything_changed).splitlines()])
    assert all(values[name].present for name in FIELDS)
    assert parsed(*(values[name].serialize() for name in FIELDS)) == everything_changed


@pytest.mark.parametrize(
    "arguments, expected",
    [
        (["--noflip"], {"flip": False}),
        (["--flip=0"], {"flip": False}),
        (["--deterministic=False"], {"deterministic": False}),
        (["--synchronized_batch_norm"], {"synchronized_batch_norm": True}),
        (["--stage_blocks="], {"stage_blocks": ()}),
        (["--stage_blocks=1, 2,3"], {"stage_blocks": (1, 2, 3)}),
        (["--decay_epochs=30,60.5"], {"decay_epochs": (30.0, 60.5)}),
        (["--decay_epochs="], {"decay_epochs": ()}),
        (["--weight_decay=1e-7"], {"weight_decay": 1e-7}),
        (["--epochs", "7"], {"epochs": 7.0}),
        (["--seed=1", "--seed=2"], {"seed": 2}),
        (["--undefok=gone", "--gone=3", "--seed=2"], {"seed": 2}),
    ],
)
def test_ways_to_write_a_flag(arguments, expected):
    assert parsed(*arguments) == config.Config(**expected)


def test_nested_flagfiles_are_differences_from_one_another(tmp_path, monkeypatch):
    """Each names the next relative to itself, whatever the working directory is."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/base.flags").write_text("# what all share\n--momentum=0.5\n\n--epochs=50\n")
    (tmp_path / "sub/child.flags").write_text(
        "--flagfile=base.flags\n--momentum=0.6  \n// a comment too\n--seed=3\n"
    )
    expected = dict(momentum=0.6, epochs=50.0, seed=3)
    assert parsed("--flagfile=sub/child.flags") == config.Config(**expected)
    assert parsed("--flagfile=sub/child.flags", "--seed=4").seed == 4
    assert parsed("--seed=4", "--flagfile=sub/child.flags").seed == 3  # the last one counts
    monkeypatch.chdir("/")
    assert parsed(f"--flagfile={tmp_path}/sub/child.flags") == config.Config(**expected)
    assert parsed("--flagfile", str(tmp_path / "sub/child.flags")) == config.Config(**expected)


def test_a_flagfile_that_includes_itself_is_refused(tmp_path):
    (tmp_path / "a.flags").write_text("--flagfile=b.flags\n")
    (tmp_path / "b.flags").write_text(f"--flagfile=../{tmp_path.name}/a.flags\n")
    with pytest.raises(ValueError, match="a.flags includes itself"):
        parsed(f"--flagfile={tmp_path}/a.flags")


def test_a_missing_flagfile_is_named_with_the_one_that_names_it(tmp_path):
    (tmp_path / "a.flags").write_text("--flagfile=gone.flags\n")
    with pytest.raises(ValueError, match=r"flagfile .*gone.flags, named in .*a.flags: "):
        parsed(f"--flagfile={tmp_path}/a.flags")


# --------------------------------------------------------------------------- what changed


def test_changed_flags_names_what_changes_a_result():
    for name, field in FIELDS.items():
        changed = dataclasses.replace(config.Config(), **{name: another(name)})
        expected = (
            {}
            if field.metadata["same_result"]
            else {name: (getattr(config.Config(), name), another(name))}
        )
        assert config.changed_flags(config.Config(), changed) == expected


def test_where_and_how_fast_a_run_computes_may_change():
    free = {name for name, field in FIELDS.items() if field.metadata["same_result"]}
    assert {
        "data_dir",
        "model_dir",
        "tpu",
        "cpu_devices",
        "steps_per_loop",
        "eval_batch_size",
        "stop_after_steps",
        "allow_flag_changes",
    } <= free
    assert free.isdisjoint(
        {
            "seed",
            "global_batch_size",
            "precision",
            "map_loss_weight",
            "epochs",
            "shuffle_buffer",
            "eval_every_epochs",
        }
    )


# --------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize("name", [n for n in FIELDS if FIELDS[n].metadata["choices"]])
def test_choices_are_enforced(name):
    choices = ", ".join(FIELDS[name].metadata["choices"])
    message = f"--{name} must be one of {choices}. Received: 'nothing'."
    with pytest.raises(ValueError, match=re.escape(message)):
        config.Config(**{name: "nothing"})
    with pytest.raises(
        ValueError, match=f"here: flag --{name}=nothing: .*{choices.split(', ')[0]}"
    ):
        parsed(f"--{name}=nothing")


RANGED = {name: field.metadata["within"] for name, field in FIELDS.items()}


@pytest.mark.parametrize(
    "within, bad, words",
    [
        (config.POSITIVE, ("0", "-1"), "must be positive"),
        (config.NOT_NEGATIVE, ("-1",), "must be not negative"),
        (command.SEED, ("-1", "4294967296"), "must be from 0 to 4294967295"),
        (config.BELOW_1, ("-0.1", "1"), "must be at least 0 and below 1"),
        (config.AT_MOST_1, ("0", "1.01"), "must be above 0 and at most 1"),
    ],
)
def test_ranges(within, bad, words):
    names = [name for name, own in RANGED.items() if own is within]
    assert names
    for name in names:
        kind = type(getattr(config.Config(), name))
        for value in (*bad, "nan", "inf") if kind is float else bad:
            with pytest.raises(ValueError, match=f"--{name} {words}. Received: {kind(value)}"):
                parsed(f"--{name}={value}")


def test_every_number_has_a_range():
    """But depth, which is of a table, and a bias, which is free."""
    numbers = {name for name in FIELDS if type(getattr(config.Config(), name)) in (int, float)}
    ranged = {name for name, within in RANGED.items() if within}
    assert numbers - ranged == {"depth", "saliency_bias"} and ranged <= numbers


def test_boundaries_must_ascend():
    with pytest.raises(ValueError, match="--decay_epochs must ascend"):
        parsed("--decay_epochs=60,30")


def test_words_that_are_no_flags_are_refused():
    with pytest.raises(ValueError, match="'data_dir=3' is no flag; write --name=value"):
        parsed("data_dir=3")


@pytest.mark.parametrize(
    "arguments, message",
    [
        (
            ["--crop_fraction=1.01"],
            "--crop_fraction must be above 0 and at most 1. Received: 1.01.",
        ),
        (["--epochs=5"], "--warmup_epochs=5.0 must be shorter than --epochs=5.0."),
        (
            ["--stage_blocks=1,two"],
            "--stage_blocks must be a comma-separated list of numbers. Received: ['1', 'two'].",
        ),
        (
            ["--stage_blocks=1.5"],
            "--stage_blocks must be a comma-separated list of numbers. Received: ['1.5'].",
        ),
        (
            ["--decay_epochs=30;60"],
            "--decay_epochs must be a comma-separated list of numbers. Received: ['30;60'].",
        ),
        (["--image_size=big"], "here: flag --image_size=big"),
        (["--image_size=224.5"], "here: flag --image_size=224.5"),
        (["--epochs=many"], "here: flag --epochs=many"),
        (["--flip=perhaps"], "here: flag --flip=perhaps"),
        (["--learning_rte=3"], "here: Unknown command line flag 'learning_rte'"),
        (["--flagfile=/no/such.flags"], "here: Unable to open flagfile /no/such.flags: "),
    ],
)
def test_mistakes_are_named(arguments, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        parsed(*arguments)
