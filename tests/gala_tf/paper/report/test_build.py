"""The report command on made-up runs: what is on the page, what is refused, the same bytes."""

import dataclasses
import io
import json
import re
import subprocess
import sys
from pathlib import Path

import fake_runs
import numpy as np
import pytest
from PIL import Image

from gala_tf.data import dataset_info
from gala_tf.evaluation import per_image
from gala_tf.paper import published
from gala_tf.paper.report import build, contents, figures, lines, runs
from gala_tf.paper.report import tables as report_tables

ROOT = Path(__file__).resolve().parents[4]


def sections_of(*roots, table_lambda=None):
    directories = runs.find_run_directories([str(root) for root in roots])
    return lines.make_sections(runs.read_runs(directories), table_lambda)


def tables(markdown):
    """{heading: [rows of cells]} of the first table under each heading."""
    found = {}
    for part in re.split(r"^#+ ", markdown, flags=re.M):
        heading, _, rest = part.partition("\n")
        rows = [line for line in rest.splitlines() if line.startswith("| ")]
        cells = [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows]
        if cells:
            found.setdefault(heading, cells)
    return found


@pytest.fixture(scope="module")
def campaign(tmp_path_factory):
    """A whole campaign of two seeds on data that calls itself the built-in set, and its page."""
    root = tmp_path_factory.mktemp("campaign")
    info = fake_runs.data_set("quickstart")
    fake_runs.write_campaign(root / "runs", seeds=2, info=info)
    fake_runs.write_run(root / "runs" / "se" / "seed-2", "se", seed=2, finished=False, info=info)
    fake_runs.write_run(root / "runs" / "later", "gala", seed=1, accuracy=0.1, info=info)
    picture = io.BytesIO()
    Image.new("RGB", (8, 6), (9, 90, 200)).save(picture, "PNG")
    figures = root / "runs" / "gala_clickmaps" / "seed-1" / "figures"
    figures.mkdir()
    (figures / "attention-test.png").write_bytes(picture.getvalue())
    build.build([str(root / "runs")], str(root / "page"), quoted=True)
    return root


@pytest.fixture(scope="module")
def page(campaign):
    return (campaign / "page" / "report.md").read_text()


def test_table_has_every_row_in_the_papers_order_with_n_and_interval(page, campaign):
    header, _, *rows = tables(page)["Tables 1 and 3: errors and maps"]
    assert header[:4] == ["network", "table", "n", "top-1 error, %"]
    assert header[4] == "published (ClickMe: other data)"
    assert [row[0] for row in rows] == [
        "SE-ResNet-50",
        "ResNet-50",
        "ResNet-50 w/ ClickMe",
        "GALA-ResNet-50 w/ b. boxes",
        "GALA-ResNet-50 no ClickMe",
        "GALA-ResNet-50 w/ ClickMe",
    ]
    assert rows[0][2] == "2 seeds × 60 images (1 unfinished)"
    assert [row[4] for row in rows] == ["66.17", "63.68", "61.32", "58.14", "53.90", "49.29"]
    for row in rows:
        assert row[5] == "–"  # of four classes, five are always right
        assert row[8] == "2 seeds × 60 images"
        for cell in (row[3], row[7]):
            assert re.fullmatch(r"-?[\d.]+ \[-?[\d.]+, -?[\d.]+\]( \\\*)?", cell), cell
    found = [
        json.loads((campaign / "runs" / "resnet" / f"seed-{i}" / "results-test.json").read_text())
        for i in (0, 1)
    ]
    mean = np.mean([100 * (1 - one["top1"]) for one in found])
    assert rows[1][3].startswith(f"{mean:.1f} [")
    mean = np.mean([125 * one["maps"]["stage3_block2"]["spearman"] for one in found])
    assert rows[1][7].startswith(f"{mean:.1f} [")


def test_stars_are_p_values_of_the_tests(page, campaign):
    header, _, *rows = tables(page)["The stars: paired tests"]
    assert len(rows) >= 5 and {row[1] for row in rows[:5]} == {"GALA-ResNet-50 w/ ClickMe"}
    [section] = sections_of(campaign / "runs")
    by_row = {line.row: line for line in section.chosen}
    tested = contents.compare_lines(section.chosen)
    paired, reference = tested["ResNet-50"]
    assert reference == by_row["gala_clickmaps"].label and len(tested) == 5
    assert rows[0][0] == "ResNet-50"
    assert rows[0][4] == report_tables.p_cell(paired.p_top1).replace("*", "\\*").replace("<", "\\<")
    star = paired.p_top1 < 0.01
    assert star == tables(page)["Tables 1 and 3: errors and maps"][3][3].endswith("\\*")


def test_lambda_of_the_tables_and_the_sweep(page):
    assert "the tables show lambda = 1, the highest mean validation top-1" in page
    rows = tables(page)["Figure 7: accuracy and maps against lambda"][2:]
    assert [row[0] for row in rows] == ["0", "0.3", "1", "3"]
    assert [row[5] for row in rows] == ["62.96", "87.62 (lambda not given)", "–", "–"]


def test_unfinished_and_repeated_runs_are_named(page):
    assert "se/seed-2: unfinished (SE-ResNet-50, no results-test.json)" in page
    assert re.search(r"runs/later: same flags and seed as gala/seed-1.*its results differ", page)


def test_caveats_order_and_tables_not_run(page):
    assert "> The built-in data set is a miniature: its maps are simulated" in page
    assert re.search(r"Order by top-1 error, best first: .* The paper's: GALA-ResNet-50 w/", page)
    assert "## Not run" in page and "Table 2: Errors" in page and "Table 4: Errors" in page
    rows = [row for number in (2, 4) for row in published.table(number).values()]
    values = [value for row in rows for value in row.values()]
    assert len(values) > 15 and all(f"{value:.2f}" in page for value in values)


@pytest.mark.parametrize("simulated", [True, False])
def test_maps_and_ceilings_are_called_what_they_are(tmp_path, simulated, monkeypatch):
    """Every column, axis, legend and caption."""
    drawn = []
    draw = figures.png

    def seen(figure, *rest):
        for axes in figure.axes:
            texts = [axes.get_title(), axes.get_xlabel(), axes.get_ylabel()]
            drawn.extend(texts + axes.get_legend_handles_labels()[1])
        return draw(figure, *rest)

    monkeypatch.setattr(figures, "png", seen)
    info = fake_runs.data_set("quickstart" if simulated else "mine")
    fake_runs.write_campaign(tmp_path / "runs", seeds=1, info=info)
    build.build([str(tmp_path / "runs")], str(tmp_path / "page"))
    text = (tmp_path / "page" / "report.md").read_text()
    text = text.replace(contents.SIMULATED, "") + "\n".join(drawn)
    right, wrong = ("simulated", "human") if simulated else ("human", "simulated")
    assert not re.search(rf"(?i)\b{wrong}\b", text)
    assert f"map score, % of {right} ceiling" in drawn and f"{right} ceiling" in drawn
    assert {"simulated people, shuffled (null)", "people, shuffled (null)"} & {*drawn} == {
        f"{'simulated ' * simulated}people, shuffled (null)"
    }
    for words in ("maps, % of {} ceiling", "| % of {} ceiling", "other images' {} maps"):
        assert words.format(right) in text


def test_provenance_names_every_run_and_no_path(page, campaign):
    rows = tables(page)["quickstart, test split"][2:]
    assert len(rows) == 12 + 4 + 2
    byname = {row[0]: row for row in rows}
    assert byname["lambda-0.3/seed-1"][2].split() == [
        "--map_source=clickmaps", "--map_loss_weight=0.3", "--attention=gala", "--seed=1",
    ]  # fmt: skip
    assert byname["se/seed-2"][3] == "unfinished"
    assert byname["resnet/seed-0"][5] == "8"  # 10 steps x 20 / 50 + 20 x 20 / 100
    assert "v1: gala_tf 0.0, tensorflow 2.0, keras 3.0, commit abc" in page
    html = (campaign / "page" / "report.html").read_text()
    assert str(campaign) not in page + html and "/runs/" not in page


def test_every_picture_is_a_readable_png_and_inside_the_html(page, campaign):
    files = re.findall(r"^!\[.*\]\((.*)\)$", page, flags=re.M)
    assert files[:3] == ["layers.png", "figure7.png", "classes.png"]
    assert files[3:5] == ["calibration.png", "accuracy_maps.png"]
    assert len(files) == 6 and re.fullmatch(r"attention-\d\.png", files[5])
    for file in files:
        image = Image.open(campaign / "page" / file)
        image.load()
        assert "Software" not in image.info
    html = (campaign / "page" / "report.html").read_text()
    assert html.count("data:image/png;base64,") == len(files)
    assert "http://" not in html and "https://" not in html
    assert "GALA-ResNet-50 w/ ClickMe, run gala_clickmaps/seed-1" in html


def test_error_by_class_as_csv(campaign):
    header, *found = (campaign / "page" / "error_by_class.csv").read_text().splitlines()
    assert header == "network,seeds,class,images,error,low,high,interval"
    assert len(found) == 6 * 4


def test_the_same_runs_give_the_same_bytes(campaign, tmp_path):
    build.build([f"{campaign}/runs/*", str(campaign / "runs")], str(tmp_path), quoted=True)
    for file in sorted((campaign / "page").iterdir()):
        assert (tmp_path / file.name).read_bytes() == file.read_bytes(), file.name


def test_one_run_without_images_or_ceiling(tmp_path):
    fake_runs.write_run(tmp_path / "a", images_file=False, ceiling=None)
    build.build([str(tmp_path / "a")], str(tmp_path / "page"))
    text = (tmp_path / "page" / "report.md").read_text()
    header, _, *rows = tables(text)["Tables 1 and 3: errors and maps"]
    assert header[5] == "maps, Spearman" and rows[-1][2] == "1 seed × 60 images"
    assert [row[2] for row in rows[:-1]] == ["not run"] * 5
    assert "No per_image file" in text and "Not run: that takes GALA at two values" in text
    assert "> The published numbers are of other data than this section's, and are left out" in text
    assert "66.17" not in text.split("## Not run")[0] and "The paper's:" not in text
    assert "The built-in data set" not in text


def test_every_n_is_that_of_its_number(tmp_path):
    """Images without a map count for errors, not for map scores; layers may differ."""
    fake_runs.write_run(tmp_path / "a", images_file=False)
    path = tmp_path / "a" / "results-test.json"
    results = json.loads(path.read_text())
    first, final = results["maps"]
    results["maps"][first]["images"], results["maps"][final]["images"] = 40, 41
    path.write_text(json.dumps(results))
    build.build([str(tmp_path / "a")], str(tmp_path / "page"))
    text = (tmp_path / "page" / "report.md").read_text()
    header, _, *rows = tables(text)["Tables 1 and 3: errors and maps"]
    assert header[6] == "n of maps"
    assert (rows[-1][2], rows[-1][6]) == ("1 seed × 60 images", "1 seed × 41 images")
    assert tables(text)["Maps of the final layer, and baselines"][2][1] == "1 seed × 41 images"
    layers = tables(text)["Maps of each layer"][0][1]
    assert f"{first}: 1 seed × 40 images; {final}: 1 seed × 41 images" in layers


def test_the_papers_numbers_stand_beside_its_own_data(tmp_path):
    info = thousand("clickme_release", 329_036, 329_036)
    info = dataclasses.replace(info, splits=fake_runs.data_set().splits)
    fake_runs.write_run(tmp_path / "a", info=info)
    build.build([str(tmp_path / "a")], str(tmp_path / "page"))
    text = (tmp_path / "page" / "report.md").read_text()
    header = tables(text)["Tables 1 and 3: errors and maps"][0]
    assert header[4] == "published (ClickMe)" and "are of other data" not in text


def test_runs_that_cannot_be_tested_are_named(tmp_path):
    fake_runs.write_run(tmp_path / "a")
    fake_runs.write_run(tmp_path / "b", "se", images_file=False)
    page_text = build.build([str(tmp_path)], str(tmp_path / "page"))
    text = Path(page_text).with_name("report.md").read_text()
    assert "Not tested, since a run lacks its per_image file: SE-ResNet-50." in text


def test_only_unfinished_runs(tmp_path):
    fake_runs.write_run(tmp_path / "a", finished=False)
    build.build([str(tmp_path)], str(tmp_path / "page"))
    text = (tmp_path / "page" / "report.md").read_text()
    assert "0 finished runs of 1" in text and "No run of this data set is finished." in text
    assert "a: unfinished (GALA-ResNet-50 w/ ClickMe" in text


def test_a_data_set_is_called_by_the_end_of_its_folder(tmp_path):
    """Data sets of one source differ by it; what lies above it is nobody's business."""
    fake_runs.write_run(tmp_path / "a")
    [section] = sections_of(tmp_path)
    run = section.runs[0]
    for given, shown in (("/home/ada/data/split0/gaze/", "split0/gaze"), ("birds", "birds")):
        other = dataclasses.replace(run, config=dataclasses.replace(run.config, data_dir=given))
        heading = contents.section_blocks(dataclasses.replace(section, runs=(other,)), "")[0]
        assert heading.text == (f"{section.info.name} ({shown}, shards {run.data_set}), test split")


def test_data_sets_are_never_mixed(tmp_path):
    for i in (0, 1):
        info = fake_runs.data_set(seed=i)
        for name, row in (("a", "gala_clickmaps"), ("b", "gala")):
            place = tmp_path / f"{i}" / name
            fake_runs.write_run(place, row, info=info, images_file=False)
    sections = sections_of(tmp_path)
    assert len(sections) == 2 and [len(section.chosen) for section in sections] == [2, 2]
    assert len({section.runs[0].data_set for section in sections}) == 2
    names = build.prefixes(sections)
    assert len(set(names)) == 2 and all(name.endswith("-test-") for name in names)
    blocks = build.page_blocks(sections)
    files = [block.file for block in blocks if hasattr(block, "file")]
    assert len(set(files)) == len(files)


def thousand(name, images, maps):
    info = fake_runs.data_set(name)
    classes = tuple(f"class {i}" for i in range(1000))
    train = dataset_info.Split(images, maps, 0, 1000, ())
    splits = {"train": train}
    return dataclasses.replace(info, class_names=classes, splits=splits)


def test_which_tables_a_data_set_belongs_in():
    assert lines.paper_tables(thousand("imagenet", 1_281_167, 0)) == (2,)
    assert lines.paper_tables(thousand("merged", 1_281_167, 200_000)) == (4,)
    clickme = thousand("clickme_release", 329_036, 329_036)
    assert lines.paper_tables(clickme) == (1, 3)
    assert lines.same_data(clickme)
    assert not lines.same_data(fake_runs.data_set("clickme"))  # of four classes


def test_names_are_as_short_as_they_may_be():
    names = runs.short_names(["/a/x/seed-0", "/a/y/seed-0", "/b/z/seed-1"])
    assert list(names.values()) == ["x/seed-0", "y/seed-0", "z/seed-1"]
    assert runs.short_names(["/a/b/c"]) == {"/a/b/c": "c"}


def test_a_run_given_twice_is_read_once(tmp_path):
    fake_runs.write_run(tmp_path / "x" / "a", finished=False)
    found = runs.find_run_directories([str(tmp_path), f"{tmp_path}/x/*", f"{tmp_path}/x/a/"])
    assert found == [str(tmp_path / "x" / "a")]


def test_places_without_runs_are_refused(tmp_path):
    with pytest.raises(ValueError, match="--runs=.*nowhere: does not exist"):
        build.build([str(tmp_path / "nowhere")], str(tmp_path / "page"))
    with pytest.raises(ValueError, match="holds no run. A run is a directory with run.flags"):
        build.build([str(tmp_path)], str(tmp_path / "page"))
    with pytest.raises(ValueError, match="--runs is empty"):
        build.build([], str(tmp_path / "page"))
    with pytest.raises(ValueError, match="--output_dir is not set"):
        build.build([str(tmp_path)], "")
    assert not (tmp_path / "page").exists()


def damage(directory, **changes):
    path = directory / "results-test.json"
    numbers = json.loads(path.read_text())
    numbers.update(changes)
    path.write_text(json.dumps({name: value for name, value in numbers.items() if value != "gone"}))


@pytest.mark.parametrize(
    "changes, message",
    [
        (dict(top1="gone", maps="gone"), "has no top1, maps: another program wrote it"),
        (dict(data_set="other"), "is of data set 'other', split 'test', 60 images; the run's own"),
        (dict(examples=7), "'test', 7 images; the run's own is 'fake', 'test', 60"),
        (dict(top1=0.123), "is of another evaluation than the results beside it"),
    ],
)
def test_results_that_contradict_their_run(tmp_path, changes, message):
    fake_runs.write_run(tmp_path / "a")
    damage(tmp_path / "a", **changes)
    with pytest.raises(ValueError, match=message):
        sections_of(tmp_path)


def test_files_that_are_not_what_they_should_be(tmp_path):
    fake_runs.write_run(tmp_path / "a")
    (tmp_path / "a" / "results-test.json").write_text('{"top1": 0.')
    with pytest.raises(ValueError, match="results-test.json is not JSON.*Evaluate the run again"):
        sections_of(tmp_path)


def test_other_images_of_one_data_set_are_refused(tmp_path):
    for name, row in (("a", "gala"), ("b", "se")):
        fake_runs.write_run(tmp_path / name, row)
    path = str(tmp_path / "b" / "per_image-test.csv")
    columns = per_image.load(path)
    columns["image_id"] = columns["image_id"][::-1]
    per_image.write(path, columns)
    with pytest.raises(ValueError, match="per_image-test.csv of b is of other images.*of a"):
        sections_of(tmp_path)


def test_split_is_test_where_there_is_one(tmp_path):
    fake_runs.write_run(tmp_path / "a")
    directories = runs.find_run_directories([str(tmp_path)])
    assert runs.read_runs(directories)[0].results is not None
    [run] = runs.read_runs(directories, "validation")
    assert run.results is None and "results-validation.json" in run.missing
    with pytest.raises(ValueError, match="--split=none: .* has test, train, validation"):
        runs.read_runs(directories, "none")


@pytest.mark.parametrize(
    "interval, digits, text",
    [
        ((12.34, 10.0, 15.06, 3, ""), 1, "12.3 [10.0, 15.1]"),
        ((-0.0001, -0.5, 0.5, 3, ""), 1, "0.0 [-0.5, 0.5]"),
        ((0.5, float("nan"), float("nan"), 1, ""), 2, "0.50 [no interval]"),
        ((float("nan"),) * 3 + (0, ""), 1, "–"),
    ],
)
def test_cells(interval, digits, text):
    from gala_tf.evaluation.significance import Interval

    assert report_tables.cell(Interval(*interval), digits) == text
    assert report_tables.cell(None) == "–"


def test_p_cells():
    cells = [report_tables.p_cell(p) for p in (1e-9, 1 / 10_001, 0.0099, 0.01, None)]
    assert cells == ["< 0.0001 *", "0.0001 *", "0.0099 *", "0.0100", "–"]


@pytest.mark.slow
def test_the_command(tmp_path):
    fake_runs.write_run(tmp_path / "a")
    command = [sys.executable, "-m", "gala_tf.report", f"--runs={tmp_path}"]
    done = subprocess.run(
        [*command, f"--output_dir={tmp_path}/page"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert (tmp_path / "page" / "report.html").exists()
    refused = subprocess.run(
        [*command, "--split=none", f"--output_dir={tmp_path}/page"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert refused.returncode == 1 and "Traceback" not in refused.stderr
    assert "error: --split=none: the data set of run 'a' has test, train, validation." in (
        refused.stderr
    )
