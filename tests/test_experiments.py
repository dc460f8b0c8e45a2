"""Every flagfile of `experiments/` parses, says what it is, and describes a network and a run."""

import functools
import re
from pathlib import Path

import pytest

from gala_tf import config, evaluate, plan, run_directory, scores

ROOT = Path(__file__).resolve().parents[1]
FLAGFILES = sorted(path.name for path in (ROOT / "experiments").glob("*.flags"))
RUNS = [name for name in FLAGFILES if name != "base.flags"]
PAPERS = [name for name in RUNS if name.startswith(("clickme_", "full_"))]

# Top-1 and top-5 error and, in Table 3, the agreement of maps, as published.
PUBLISHED = {
    "clickme_se": ("Table 3", "66.17 %", "42.48 %", "64.36"),
    "clickme_resnet50": ("Table 3", "63.68 %", "40.65 %", "43.61"),
    "clickme_resnet50_clickme": ("Table 3", "61.32 %", "41.42 %", "31.18"),
    "clickme_gala_boxes": ("Table 3", "58.14 %", "35.17 %", "76.42"),
    "clickme_gala": ("Table 3", "53.90 %", "31.04 %", "64.21"),
    "clickme_gala_clickme": ("Table 3", "49.29 %", "27.73 %", "88.56"),
    "full_ilsvrc": ("Table 4", "26.17 %", "8.12 %"),
    "full_ilsvrc_resnet50": ("Table 2", "23.88 %", "6.86 %"),
    "full_ilsvrc_se": ("Table 2", "23.26 %", "6.55 %"),
    "full_ilsvrc_gala": ("Table 2", "22.73 %", "6.35 %"),
}


@pytest.fixture(autouse=True)
def in_the_root(monkeypatch):
    """Flagfiles name each other relative to the root of the repository."""
    monkeypatch.chdir(ROOT)


def read(name):
    return config.from_arguments([f"--flagfile=experiments/{name}"], name)


def header(name):
    lines = (ROOT / "experiments" / name).read_text().splitlines()
    return "\n".join(line for line in lines if line.startswith("#"))


def own_flags(name):
    lines = (ROOT / "experiments" / name).read_text().splitlines()
    return dict(line.removeprefix("--").split("=", 1) for line in lines if line.startswith("--"))


@functools.cache
def build_network(**arguments):
    """A network of the least width, built once for all flagfiles that share it."""
    return run_directory.build_network(config.Config(**arguments), 10)


def network(name):
    run_config = read(name)
    fields = (
        "depth",
        "stage_blocks",
        "version",
        "stem",
        "attention",
        "attention_units",
        "reduction_ratio",
        "image_size",
        "saliency_bias",
    )
    return build_network(
        width_multiplier=1 / 16, **{field: getattr(run_config, field) for field in fields}
    )


# --------------------------------------------------------------------------- files


def test_there_are_experiments():
    assert {f"{name}.flags" for name in PUBLISHED} <= set(FLAGFILES)
    assert {"base.flags", "quickstart.flags"} <= set(FLAGFILES)


@pytest.mark.parametrize("name", FLAGFILES)
def test_parses(name):
    """All flags exist, all values are legal, nested flagfiles are found."""
    run_config = read(name)
    for flag, value in own_flags(name).items():
        if flag != "flagfile":
            expected = config.from_arguments(["--warmup_epochs=0", f"--{flag}={value}"], name)
            assert getattr(run_config, flag) == getattr(expected, flag), flag


@pytest.mark.parametrize("name", FLAGFILES)
def test_every_line_is_a_flag_or_a_comment_and_no_flag_comes_twice(name):
    lines = [
        line
        for line in (ROOT / "experiments" / name).read_text().splitlines()
        if not line.startswith("#")
    ]
    assert all(re.fullmatch(r"--\w+=\S+", line) for line in lines)
    assert len(own_flags(name)) == len(lines)


@pytest.mark.parametrize("name", RUNS)
def test_is_a_difference_from_base(name):
    """Nothing is repeated that the flagfile it builds on says already."""
    flags = own_flags(name)
    parent = flags.pop("flagfile")
    assert parent == "experiments/base.flags" or Path(parent).name in RUNS
    inherited, mine = read(Path(parent).name), read(name)
    for flag in flags:
        assert getattr(mine, flag) != getattr(inherited, flag) or flag in (
            "attention",
            "map_loss_weight",
            "global_batch_size",
        ), f"--{flag} says nothing new"


@pytest.mark.parametrize("name", RUNS)
def test_header_has_command_hardware_and_paper(name):
    text = header(name)
    command = re.sub(r"\\\n#\s+", "", text)
    assert f"python -m gala_tf.train {'--tpu=NAME ' if 'full' in name else ''}" in command
    assert f"--flagfile=experiments/{name}" in command
    for flag in re.findall(r"--(\w+)=", command.split("gala_tf.train")[1]):
        assert flag == "flagfile" or flag in config.names()
    assert re.search(r"^# Hardware: \S", text, re.M) and re.search(r"^# Paper: \S", text, re.M)


@pytest.mark.parametrize("name", PUBLISHED)
def test_header_has_the_published_numbers(name):
    table, top1, top5, *maps = PUBLISHED[name]
    text = header(f"{name}.flags")
    assert f"{table}" in text and f"top-1 error {top1}, top-5 error {top5}" in text
    assert all(f"maps {value}" in text for value in maps)


@pytest.mark.parametrize("name", PAPERS)
def test_header_names_the_network_as_the_results_will(name):
    run_config = read(name)
    title = header(name).splitlines()[0].removeprefix("# ")
    bare = scores.network_name(run_config).split(" ")[0]
    assert title.startswith(bare)
    assert ("w/" in title) == (run_config.map_loss_weight > 0)


# --------------------------------------------------------------------------- the paper's settings


@pytest.mark.parametrize("name", PAPERS)
def test_the_papers_training(name):
    """Appendix: 100 epochs, a tenth after 30, 60, 80, 90; crops of 224; kernel of 49; r = 4."""
    run_config = read(name)
    assert (run_config.depth, run_config.epochs, run_config.schedule) == (50, 100, "piecewise")
    assert (run_config.decay_epochs, run_config.decay_factor) == ((30, 60, 80, 90), 0.1)
    assert (run_config.image_size, run_config.crop_fraction) == (224, 0.875)
    assert run_config.clickmap_blur == "box:49"
    assert run_config.global_batch_size == (32 if name.startswith("clickme_") else 1024)
    assert run_config.map_loss_weight in (0, 6)


def test_full_ilsvrc_is_the_papers_network():
    run_config = read("full_ilsvrc.flags")
    assert (run_config.attention, run_config.attention_units) == ("gala", "stage3")
    assert (run_config.map_loss_weight, run_config.reduction_ratio) == (6, 4)
    assert (run_config.map_source, run_config.map_target) == ("clickmaps", "attention")
    assert (run_config.global_batch_size, run_config.epochs) == (1024, 100)
    assert run_config.decay_epochs == (30, 60, 80, 90)
    assert (run_config.crop, run_config.precision) == ("paper", "mixed_bfloat16")


def test_full_ilsvrcs_learning_rate():
    """1,281,167 images in batches of 1024: 1251.14 steps an epoch, a rate of 0.4."""
    length = plan.Plan(1_281_167 / 1024, 125_114, (125_114,), 0)
    schedule = plan.make_schedule(read("full_ilsvrc.flags"), length)
    for epoch, rate in (
        (5.1, 0.4),
        (29.9, 0.4),
        (30.1, 0.04),
        (60.1, 4e-3),
        (80.1, 4e-4),
        (90.1, 4e-5),
        (99.9, 4e-5),
    ):
        assert float(schedule(int(epoch * length.steps_per_epoch))) == pytest.approx(rate, rel=1e-4)
    assert float(schedule(0)) == pytest.approx(0.4 / 6256, rel=1e-4)


def test_controls_differ_in_one_thing():
    """From the network with maps: what a control takes away is all that it changes."""
    full = read("clickme_gala_clickme.flags")
    expected = {
        "clickme_gala": {"map_loss_weight"},
        "clickme_gala_boxes": {"map_source"},
        "clickme_resnet50_clickme": {"attention", "map_target"},
        "clickme_resnet50": {"attention", "map_loss_weight"},
        "clickme_se": {"attention", "map_loss_weight"},
    }
    for name, flags in expected.items():
        assert set(config.changed_flags(full, read(f"{name}.flags"))) == flags
    full = read("full_ilsvrc_resnet50.flags")
    assert set(config.changed_flags(full, read("full_ilsvrc_gala.flags"))) == {"attention"}
    assert set(config.changed_flags(full, read("full_ilsvrc_se.flags"))) == {
        "attention",
        "attention_units",
        "reduction_ratio",
    }


# --------------------------------------------------------------------------- networks


@pytest.mark.parametrize("name", RUNS)
def test_builds_its_network_and_maps_have_something_to_supervise(name):
    run_config = read(name)
    sizes = plan.supervised_sizes(network(name), run_config)
    assert bool(sizes) == (run_config.map_loss_weight > 0)
    if name in PAPERS and sizes:
        assert list(sizes.values()) == [14] * 6  # "each 14x14", layers 24 to 39
        assert all(layer.startswith("stage3_block") for layer in sizes)
    scored = evaluate.map_sizes(network(name)).values()
    assert all(max(scored) % size == 0 for size in scored)  # evaluation sums whole blocks


@pytest.mark.parametrize(
    "name, layers",
    [
        ("clickme_gala.flags", 6),
        ("clickme_se.flags", 6),
        ("clickme_resnet50.flags", 0),
        ("full_ilsvrc_se.flags", 16),
    ],
)
def test_number_of_attention_layers(name, layers):
    assert len(network(name).output["attention"]) == layers
