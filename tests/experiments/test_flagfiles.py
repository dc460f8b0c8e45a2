"""Every flagfile of `experiments/` parses, says what it is, and describes a network and a run."""

import functools
import re
from pathlib import Path

import pytest
from absl import flags as absl_flags

from gala_tf import config, sweep
from gala_tf.command_line import flagfiles
from gala_tf.evaluation import naming
from gala_tf.explain import network_parts
from gala_tf.paper import published, sweeps
from gala_tf.paper.published import ROWS
from gala_tf.runs import directory
from gala_tf.training import checks, plan, schedules

ROOT = Path(__file__).resolve().parents[2]
GAMES = ("clickme_game", "psychophysics")  # what these begin with are flags of other commands
FLAGFILES = sorted(
    path.name for path in (ROOT / "experiments").glob("*.flags") if not path.name.startswith(GAMES)
)
SWEEPS = [
    "miniature.flags",
    "sweep_cub_gha.flags",
    "sweep_figure7.flags",
    "sweep_table3.flags",
    "sweep_table4.flags",
]
RUNS = [name for name in FLAGFILES if name not in ["base.flags", *SWEEPS]]
PAPERS = [name for name in RUNS if name.startswith(("clickme_", "full_"))]
TABLES = published.document()["tables"]
# (flagfile, number of the table, row key, {metric: value})
PUBLISHED = [
    (flagfile, number, key, row["values"])
    for number, table in TABLES.items()
    for key, row in table["rows"].items()
    for flagfile in row["flagfiles"]
]


def read(name):
    return config.from_arguments([f"--flagfile={ROOT}/experiments/{name}"], name)


def test_flagfiles_work_from_any_directory(tmp_path, monkeypatch):
    expected = [read(name) for name in RUNS]
    monkeypatch.chdir(tmp_path)
    assert [read(name) for name in RUNS] == expected
    monkeypatch.chdir(ROOT)
    relative = [config.from_arguments([f"--flagfile=experiments/{name}"], name) for name in RUNS]
    assert relative == expected


def read_sweep(name, *more):
    """(base Config, the sweep's own flags) as the command reads them."""
    values = absl_flags.FlagValues()
    config.define_flags(values)
    sweep.define_flags(values)
    values(["", *flagfiles.expand([f"--flagfile={ROOT}/experiments/{name}"]), *more])
    return config.from_flags(values), values


def header(name):
    lines = (ROOT / "experiments" / name).read_text().splitlines()
    return "\n".join(line for line in lines if line.startswith("#"))


def own_flags(name):
    lines = (ROOT / "experiments" / name).read_text().splitlines()
    return dict(line.removeprefix("--").split("=", 1) for line in lines if line.startswith("--"))


@functools.cache
def build_network(**arguments):
    """A network of the least width, built once for all flagfiles that share it."""
    return directory.build_network(config.Config(**arguments), 10)


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


def test_every_published_row_has_its_flagfile_and_every_flagfile_its_row():
    assert {flagfile for flagfile, *_ in PUBLISHED} == set(PAPERS)
    others = {"own_small.flags", "quickstart.flags", "tiny_imagenet.flags", "cub_gha.flags"}
    others |= {"base.flags", *SWEEPS}
    assert set(FLAGFILES) == others | set(PAPERS)
    for number, count in {"1": 4, "2": 6, "3": 6, "4": 5}.items():
        assert sum(number == table for _, table, *_ in PUBLISHED) == count


@pytest.mark.parametrize("flagfile, number, key, values", PUBLISHED)
def test_flagfile_describes_its_row(flagfile, number, key, values):
    run_config = read(flagfile)
    for flag, value in ROWS[key].overrides(6.0).items():
        assert getattr(run_config, flag) == value, flag
    assert run_config.version == ("v2" if flagfile.endswith("_v2.flags") else "v1")


def test_table_2_has_both_versions_of_each_network():
    names = [flagfile for flagfile, number, *_ in PUBLISHED if number == "2"]
    for one, two in zip(names[::2], names[1::2], strict=True):
        assert set(config.changed_flags(read(one), read(two))) == {"version"}


@pytest.mark.parametrize("flagfile, number, key, values", PUBLISHED)
def test_readme_has_every_row_with_its_numbers(flagfile, number, key, values):
    lines = (ROOT / "experiments/README.md").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith(f"| `{flagfile}` |")]
    _, _, network, tables, numbers, _, _ = (cell.strip() for cell in line.split("|"))
    assert network.startswith(ROWS[key].name) and number in tables.split(", ")
    errors = f"{values['top1_error']:.2f} / {values['top5_error']:.2f}"
    assert numbers == errors + (f", {values['maps']:.2f}" if "maps" in values else "")


def test_readme_has_every_flagfile_once():
    text = (ROOT / "experiments/README.md").read_text()
    named = re.findall(r"^\| `(\w+\.flags)` \|", text, re.M)
    assert sorted(named) == sorted({*FLAGFILES} - {"base.flags"})


@pytest.mark.parametrize("name", sorted({*FLAGFILES} - {*SWEEPS}))
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
    assert max(map(len, (ROOT / "experiments" / name).read_text().splitlines())) <= 100
    assert len(own_flags(name)) == len(lines)


@pytest.mark.parametrize("name", RUNS)
def test_is_a_difference_from_base(name):
    """Nothing is repeated that the flagfile it builds on says already."""
    flags = own_flags(name)
    parent = flags.pop("flagfile")
    assert parent == "base.flags" or parent in RUNS
    inherited, mine = read(parent), read(name)
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


@pytest.mark.parametrize("flagfile, number, key, values", PUBLISHED)
def test_header_has_the_published_numbers(flagfile, number, key, values):
    (paper,) = re.findall(r"^# Paper: (.+)$", header(flagfile), re.M)
    assert number in re.findall(r"\d", paper.split(":")[0].split(",")[0])
    top1, top5 = values["top1_error"], values["top5_error"]
    assert f": top-1 error {top1:.2f} %, top-5 error {top5:.2f} %" in paper
    assert "maps" not in values or f", maps {values['maps']:.2f}." in paper


@pytest.mark.parametrize("name", PAPERS)
def test_header_names_the_network_as_the_results_will(name):
    run_config = read(name)
    title = header(name).splitlines()[0].removeprefix("# ")
    bare = naming.network_name(run_config).split(" ")[0]
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
    assert (run_config.map_source, run_config.map_target) == ("clickmaps", "activity")
    assert (run_config.global_batch_size, run_config.epochs) == (1024, 100)
    assert run_config.decay_epochs == (30, 60, 80, 90)
    assert (run_config.crop, run_config.precision) == ("paper", "mixed_bfloat16")


def test_full_ilsvrcs_learning_rate():
    """1,281,167 images in batches of 1024: 1251.14 steps an epoch, a rate of 0.4."""
    length = plan.Plan(1_281_167 / 1024, 125_114, (125_114,), 0)
    schedule = schedules.make_schedule(read("full_ilsvrc.flags"), length)
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
        "clickme_resnet50_clickme": {"attention"},
        "clickme_resnet50": {"attention", "map_loss_weight"},
        "clickme_se": {"attention", "map_loss_weight"},
    }
    for name, flags in expected.items():
        assert set(config.changed_flags(full, read(f"{name}.flags"))) == flags
    full = read("full_ilsvrc_resnet50_v1.flags")
    assert set(config.changed_flags(full, read("full_ilsvrc_gala_v1.flags"))) == {"attention"}
    assert set(config.changed_flags(full, read("full_ilsvrc_se_v1.flags"))) == {
        "attention",
        "attention_units",
        "reduction_ratio",
    }


# --------------------------------------------------------------------------- sweeps


def test_sweeps_are_those_with_a_sweeps_flags():
    own = {*"runs rows lambdas seeds devices workers commands".split()}
    assert SWEEPS == [name for name in FLAGFILES if own & set(own_flags(name))]


@pytest.mark.parametrize("name", SWEEPS)
def test_header_of_a_sweep_has_its_command(name):
    command = re.sub(r"\\\n#\s+", "", header(name))
    assert f"python -m gala_tf.sweep --flagfile=experiments/{name}" in command
    assert re.search(r"^# Hardware: \S", command, re.M) and re.search(
        r"^# Paper: \S", command, re.M
    )


def expanded(name, *more):
    base, own = read_sweep(name, *more)
    numbers = [float(value) for value in own.lambdas], [int(seed) for seed in own.seeds]
    return {run.name: run.config for run in sweeps.expand(base, own.rows, *numbers, own.runs)}


@pytest.mark.parametrize("name, number", [("sweep_table3.flags", "3"), ("sweep_table4.flags", "4")])
def test_sweep_of_a_table_trains_what_its_flagfiles_do(name, number):
    runs = expanded(name, "--runs=somewhere", "--seeds=0")
    flagfiles = {key: flagfile for flagfile, table, key, _ in PUBLISHED if table == number}
    assert set(runs) == {f"{key}/seed-0" for key in flagfiles}
    for key, flagfile in flagfiles.items():
        assert not config.changed_flags(read(flagfile), runs[f"{key}/seed-0"])


def test_sweep_of_figure_7_has_the_papers_axis_and_five_models_a_value():
    runs = expanded("sweep_figure7.flags", "--runs=somewhere")
    seeds = {run.seed for run in runs.values()}
    assert len(seeds) == published.document()["figure_7"]["models_per_lambda"]
    weights = {run.map_loss_weight for run in runs.values() if run.attention == "gala"}
    assert sorted(weights) == published.document()["figure_7"]["axis_lambda"]
    assert sum(run.attention == "none" for run in runs.values()) == 5  # the floor
    # Runs that Table 3's sweep has in the same place are the same runs.
    tables = expanded("sweep_table3.flags", "--runs=somewhere")
    assert len(set(runs) & set(tables)) == 15
    for shared in set(runs) & set(tables):
        assert runs[shared] == tables[shared]


def test_miniature_has_all_rows_and_five_lambdas_three_times():
    runs = expanded("miniature.flags")
    names = {name.partition("/")[0] for name in runs}
    assert names == {*ROWS, "lambda-1", "lambda-3", "lambda-6"}
    assert len(runs) == 27 and {run.seed for run in runs.values()} == {0, 1, 2}
    gala = {
        run.map_loss_weight
        for run in runs.values()
        if (run.attention, run.map_source) == ("gala", "clickmaps")
    }
    assert gala == {0, 0.3, 1, 3, 6}
    quickstart = read("quickstart.flags")
    assert not config.changed_flags(quickstart, runs["gala_clickmaps/seed-0"])


# --------------------------------------------------------------------------- networks


@pytest.mark.parametrize("name", RUNS)
def test_builds_its_network_and_maps_have_something_to_supervise(name):
    run_config = read(name)
    sizes = checks.supervised_sizes(network(name), run_config)
    assert bool(sizes) == (run_config.map_loss_weight > 0)
    if name in PAPERS and sizes:
        assert list(sizes.values()) == [14] * 6  # "each 14x14", layers 24 to 39
        assert all(layer.startswith("stage3_block") for layer in sizes)
    scored = network_parts.map_sizes(network(name)).values()
    assert all(max(scored) % size == 0 for size in scored)  # evaluation sums whole blocks


@pytest.mark.parametrize(
    "name, layers",
    [
        ("clickme_gala.flags", 6),
        ("clickme_se.flags", 6),
        ("clickme_resnet50.flags", 0),
        ("full_ilsvrc_se_v1.flags", 16),
        ("full_ilsvrc_se_v2.flags", 16),
        ("full_clickme_se.flags", 6),
    ],
)
def test_number_of_attention_layers(name, layers):
    assert len(network(name).output["attention"]) == layers
