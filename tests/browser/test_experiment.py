"""The experiment in a real browser, on its real server: whole sessions, faults, timing."""

import base64
import csv
import io
import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image, ImageChops

pytest.importorskip("playwright", reason="no playwright: pip install -e '.[browser]'")

import experiment_world
from experiment_server import (
    ROOT,
    ExperimentServer,
    answer_questions,
    begin,
    block,
    consent,
    start,
    understand,
)
from playwright.sync_api import expect

pytestmark = pytest.mark.slow
AXE = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"
SHORT = ("--fixation_ms=250,400", "--training_passes=1", "--training_most=3")
SCRIPT = [
    {"keys": [["KeyS", 300]]},
    {"keys": [["KeyL", 420]]},
    {"keys": [["KeyS", 350]], "early": "KeyL"},
    {"keys": []},  # too slow
    {"keys": [["KeyA", 200], ["KeyS", 380]]},  # another key first
    {"keys": [["KeyL", 330], ["KeyS", 400]]},  # two keys: the first counts
    {"keys": [["KeyL", 360]], "hold": "KeyS"},  # S is held before, and repeats
    {"keys": [["KeyS", 900]]},  # late
]


@pytest.fixture(scope="module")
def stimuli(tmp_path_factory):
    """Twenty images of 256 px, each level of another colour."""
    return experiment_world.small_set(5, 1, 256)


@pytest.fixture(scope="module")
def server(tmp_path_factory, stimuli):
    folder = tmp_path_factory.mktemp("experiment")
    made = ExperimentServer(folder, stimuli, "--completion_url=https://done.test/", *SHORT)
    yield made
    made.stop()


def trials_of(server, page):
    """The person's trials, by the order of answers."""
    name = page.evaluate("JSON.parse(localStorage.psychophysics).list")
    return server.rows(f"SELECT * FROM trials WHERE list_id = '{name}' ORDER BY trial_index")


def script(count, training=1):
    """The script from the training on, repeated."""
    return [{"keys": [["KeyS", 300]]}] * training + [SCRIPT[n % len(SCRIPT)] for n in range(count)]


def test_a_whole_session_equals_its_script(new_page, server, tmp_path):
    new_page.expected.append("403")  # of who comes again after the end
    page = new_page()
    # One training trial may be wrong, so up to three come: the script is laid from the first block.
    begin(page, server, [{"keys": [["KeyS", 300]]}] * 3)
    page.evaluate("script => { person.script = script; person.done = []; }", script(20, 0))
    for number in range(5):
        block(page, number + 1)
        start(page)
    answer_questions(page)
    done = page.evaluate("person.done")
    for _ in range(2):  # also to who closed the page too soon
        link = page.get_by_role("link", name="Go back")
        expect(link).to_have_attribute("href", "https://done.test/", timeout=20_000)
        page.reload()
    command = [sys.executable, "-m", "data_prep.psychophysics", "export"]
    command += [f"--database={server.database}", f"--output_dir={tmp_path}"]
    subprocess.run(command, check=True, cwd=ROOT, capture_output=True)
    name = page.evaluate("fetch('/api/me').then((r) => r.json()).then((me) => me.lists[0].group)")
    with open(tmp_path / "trials.csv") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 20 and len(done) == 20 and {row["group"] for row in rows} == {name}
    wanted = ["KeyS", "KeyL", "KeyS", "", "KeyS", "KeyL", "KeyL", ""]
    for index, row in enumerate(rows):
        assert row["response"] == wanted[index % 8], index
        assert (row["too_slow"] == "1") == (row["response"] == "")
        assert row["early_keys"] == ("1" if index % 8 in (2, 6) else "0"), index
        assert bool(row["correct"]) == bool(row["response"])
        if row["response"]:
            assert (row["correct"] == "1") == (row["response"] == row["correct_key"])
        if row["response"] and index % 8 != 4:  # there the first key is not an answer
            key = done[index]["key"] - done[index]["onset"]
            assert abs(float(row["rt_ms"]) - key) < 5, index
        if index % 8 == 7:
            assert 850 < float(row["late_key_ms"]) < 1500
        assert float(row["period_ms"]) == pytest.approx(1000 / 60, rel=0.05)
    ended = server.rows("SELECT state, answers FROM lists")
    assert (
        ended[0]["state"] == "finished" and json.loads(ended[0]["answers"])["handedness"] == "left"
    )


def test_what_is_shown_is_the_stimulus_pixel_by_pixel(new_page, server, stimuli, tmp_path):
    page = new_page(device_scale_factor=1)
    begin(page, server, [{"keys": [["KeyS", 300]]}] * 4)
    page.evaluate(
        """() => {
            const pens = CanvasRenderingContext2D.prototype;
            const draw = pens.drawImage;
            pens.drawImage = function (...words) {
                draw.apply(this, words);
                window.drawn ??= this.canvas.toDataURL();
            };
        }"""
    )
    start(page)
    block(page, 2)
    data = base64.b64decode(page.evaluate("window.drawn").partition(",")[2])
    drawn = Image.open(io.BytesIO(data)).convert("RGB")
    shown = trials_of(server, page)[0]["stimulus_id"]
    path = server.rows(f"SELECT path FROM stimuli WHERE id = '{shown}'")[0]["path"]
    with Image.open(stimuli / path) as stimulus:
        assert ImageChops.difference(drawn, stimulus.convert("RGB")).getbbox() is None


def test_frames_that_are_blocked_are_told_by_the_trial_itself(new_page, server):
    page = new_page()
    begin(page, server, [{"keys": [["KeyS", 300]]}] * 3)
    blocks = (50, 120, 500, 500)
    blocked = [{"keys": [], "block": ms} for ms in blocks]
    page.evaluate("script => { person.script = script; person.done = []; }", blocked)
    start(page)
    block(page, 2)
    rows = trials_of(server, page)
    for row, ms in zip(rows, blocks, strict=True):
        # A stamp is of when a frame was begun, which on a busy machine is long before it is run.
        seen = min(0.75 * ms, ms - 17)
        assert row["longest_gap_ms"] >= seen and row["dropped"] >= seen // 17 - 1
        off = abs(row["stimulus_ms"] - 400) > row["period_ms"]
        assert row["timing_ok"] == (not off), "a short gap in mid-stimulus moves no boundary"
    assert [row["timing_ok"] for row in rows[2:]] == [0, 0]


def test_a_reload_in_a_block_goes_on_without_showing_a_picture_again(new_page, server):
    page = new_page()
    begin(page, server, [{"keys": [["KeyS", 300]]}] * 60)
    start(page)
    while not trials_of(server, page):
        page.wait_for_timeout(50)
    page.wait_for_timeout(600)  # in the middle of the second trial, or of the third
    page.reload()
    block(page, 1)
    before = trials_of(server, page)
    assert 1 <= len(before) < 4 and before[-1]["state"] == "lost"
    assert all(row["interrupted"] for row in before[:-1])
    page.evaluate("person.script = Array(60).fill({keys: [['KeyS', 300]]})")
    start(page)
    block(page, 2)
    rows = trials_of(server, page)
    assert len(rows) == 4 and len({row["stimulus_id"] for row in rows}) == 4
    assert "reload" in {row["kind"] for row in server.rows("SELECT kind FROM events")}


def test_offline_in_a_block_and_a_killed_server_lose_nothing(new_page, server):
    new_page.expected += ["ERR_INTERNET_DISCONNECTED", "ERR_CONNECTION_REFUSED", "Failed to load"]
    page = new_page()
    begin(page, server, [{"keys": [["KeyS", 300]]}] * 60)
    start(page)
    page.context.set_offline(True)
    expect(page.locator("#feedback")).to_contain_text("Storing your answers", timeout=60_000)
    assert len(trials_of(server, page)) < 4
    page.context.set_offline(False)
    block(page, 2)
    assert len(trials_of(server, page)) == 4
    port = server.port
    start(page)
    page.wait_for_timeout(1500)
    server.stop(signal.SIGKILL)
    server.start(port)
    block(page, 3)
    assert [row["trial_index"] for row in trials_of(server, page)] == list(range(8))


def test_a_second_tab_is_told_and_closing_lets_it_in(new_page, server):
    page = new_page()
    begin(page, server, [{"keys": [["KeyS", 300]]}] * 60)
    second = page.context.new_page()
    second.goto(server.url)
    expect(second.get_by_text("open in another tab")).to_be_visible(timeout=20_000)
    page.close()
    second.get_by_role("button", name="Try again").click()
    block(second, 1)


def test_the_window_is_watched(new_page, server):
    page = new_page()
    begin(page, server, [{"keys": [["KeyS", 300]]}] * 60)
    start(page)
    page.wait_for_timeout(700)
    page.set_viewport_size({"width": 900, "height": 700})
    page.evaluate(  # again and again: a single one may fall between two trials
        "Object.defineProperty(document, 'hidden', {get: () => true});"
        "setInterval(() => { dispatchEvent(new Event('blur'));"
        " document.dispatchEvent(new Event('visibilitychange')); }, 200)"
    )
    block(page, 2)
    rows = trials_of(server, page)
    happened = {kind for row in rows for kind in row["events"].split(",")}
    assert {"blur", "hidden"} <= happened
    told = server.rows(f"SELECT kind FROM events WHERE list_id = '{rows[0]['list_id']}'")
    assert "resize" in {row["kind"] for row in told}
    assert all(row["timing_ok"] == 0 for row in rows if row["events"])


def test_keys_elsewhere_are_named_as_they_are_printed(new_page, server):
    page = new_page()
    page.add_init_script(
        "navigator.keyboard.getLayoutMap = async () => new Map([['KeyS', 'o'], ['KeyL', 'n']])"
    )
    consent(page, server)
    understand(page)
    expect(page.locator("#left-key")).to_have_text("O")
    expect(page.locator("#right-key")).to_have_text("N")


def test_a_bank_card_tells_the_size_of_the_screen(new_page, tmp_path_factory, stimuli):
    folder = tmp_path_factory.mktemp("calibrated")
    made = ExperimentServer(folder, stimuli, "--degrees=8", *SHORT)
    try:
        new_page.expected.append("asked elsewhere")  # another server than the module's
        page = new_page()
        consent(page, made)
        expect(page.get_by_label("Width of the frame")).to_be_focused(timeout=20_000)
        for _ in range(3):
            page.keyboard.press("ArrowRight")
        frame = page.locator("#bank-card").bounding_box()
        assert (frame["width"], round(frame["height"])) == (326, round(326 * 53.98 / 85.6))
        page.get_by_role("button", name="It fits").click()
        understand(page)
        expect(page.get_by_role("heading", name="Your two keys")).to_be_visible(timeout=15_000)
        side = page.locator("#stage").evaluate("canvas => parseFloat(canvas.style.width)")

        def last():
            query = 'SELECT "values" FROM gates ORDER BY checked_at'
            return json.loads(made.rows(query)[-1]["values"])["px_per_mm"]

        assert last() == pytest.approx(326 / 85.6)
        assert side == pytest.approx(last() * 79.7, abs=0.5)  # 8 degrees at 570 mm
        page.reload()  # the list is begun: what it goes on with is stored, too
        page.get_by_label("Width of the frame").fill("400")
        page.get_by_role("button", name="It fits").click()
        expect(page.get_by_role("heading", name="Your two keys")).to_be_visible(timeout=15_000)
        assert last() == pytest.approx(400 / 85.6)
    finally:
        made.stop()


@pytest.mark.parametrize(
    ("period", "says"), [(1000 / 30, "fewer than 50 times"), (1000 / 144, None)]
)
def test_screens_of_30_and_144_hz(new_page, server, period, says):
    """Stamps as such a screen would give them; what is drawn stays at the browser's rate."""
    page = new_page()
    page.add_init_script(
        "let n = 0; const ask = requestAnimationFrame.bind(window);"
        f"window.requestAnimationFrame = (call) => ask(() => call((n += 1) * {period}));"
    )
    if says:
        page.goto(server.url)
        expect(page.get_by_text(says)).to_be_visible(timeout=20_000)
        assert not page.get_by_role("button", name="I have read this").is_visible()
    else:
        consent(page, server)
        expect(page.get_by_role("heading", name="How it goes")).to_be_visible(timeout=20_000)


def test_a_small_window_and_two_failed_checks_end_politely(new_page, server):
    page = new_page(viewport={"width": 500, "height": 500})
    page.goto(server.url)
    expect(page.get_by_text("smaller than 640 x 560")).to_be_visible(timeout=20_000)
    page.set_viewport_size({"width": 800, "height": 700})
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("button", name="I have read this")).to_be_visible(timeout=20_000)
    page = new_page()
    consent(page, server)
    for _ in range(2):
        expect(page.get_by_role("heading", name="How it goes")).to_be_visible(timeout=20_000)
        page.get_by_label("I press nothing").check()
        page.get_by_label("As soon as the cross appears").check()
        page.get_by_role("button", name="Go on").click()
    expect(page.get_by_text("questions about the task")).to_be_visible(timeout=20_000)


def test_a_damaged_picture_is_told(new_page, server):
    new_page.expected += ["503", "Failed to load"]
    page = new_page()
    page.route("**/api/stimuli/**", lambda route: route.fulfill(body=b"no picture", status=200))
    consent(page, server)
    understand(page)
    page.get_by_role("button", name="Begin the training").click()
    expect(page.get_by_text("A picture arrived damaged")).to_be_visible(timeout=30_000)
    page.unroute("**/api/stimuli/**")
    page.route("**/api/stimuli/**", lambda route: route.fulfill(status=404, json={"error": "No."}))
    new_page.expected += ["404"]
    page.get_by_role("button", name="Try again").click()
    page.get_by_role("button", name="Begin the training").click()
    expect(page.get_by_role("alert").first).to_contain_text("No.", timeout=30_000)


def test_jspsych_plays_it_through_by_itself(new_page, tmp_path_factory, stimuli):
    folder = tmp_path_factory.mktemp("simulated")
    made = ExperimentServer(folder, stimuli, "--allow_simulation", "--blocks=1", *SHORT)
    try:
        for mode, count in (("data-only", 20), ("visual", 20)):
            page = new_page()
            new_page.expected.append("asked elsewhere")  # another server than the module's
            consent(page, made, f"?simulate={mode}")
            understand(page)
            page.get_by_role("button", name="Begin the training").click()
            block(page, 1)
            start(page)
            answer_questions(page)
            rows = trials_of(made, page)
            assert len(rows) == count and all(row["stimulus_ms"] > 380 for row in rows)
            if mode == "visual":
                assert sum(row["response"] is not None for row in rows) >= 18
    finally:
        made.stop()


def test_every_page_passes_axe_and_fits(new_page, server):
    if not AXE.exists():
        pytest.skip("no axe-core: npm install in tests/browser")
    found = {}

    def look(page, name):
        page.add_script_tag(content=AXE.read_text())
        result = page.evaluate("axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag22aa']})")
        for violation in result["violations"]:
            nodes = [node["target"] for node in violation["nodes"]][:3]
            found[f"{name}: {violation['id']}"] = nodes
        wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        if wide > 0:
            found[f"{name} is {wide} px too wide"] = []

    for width in (660, 1280):
        page = new_page(viewport={"width": width, "height": 800}, bypass_csp=True)
        for name in ("about", "me", "timing"):
            page.goto(server.url + name)
            page.wait_for_load_state("networkidle")
            look(page, f"{name} {width}")
        page.goto(server.url)
        page.wait_for_load_state("networkidle")
        screens = page.evaluate(
            "[...document.querySelectorAll('section')].map((s) => s.dataset.screen)"
        )
        assert len(screens) == 10
        for screen in screens:  # each as it is shown, one after the other
            page.evaluate(
                "name => { for (const s of document.querySelectorAll('section'))"
                " s.hidden = s.dataset.screen !== name; }",
                screen,
            )
            look(page, f"{screen} {width}")
    assert not found, json.dumps(found, indent=1)


def test_the_policy_is_never_broken(new_page, server):
    page = new_page()
    page.add_init_script(
        "addEventListener('securitypolicyviolation', e => console.error('CSP ' + e.blockedURI))"
    )
    begin(page, server, [{"keys": [["KeyS", 300]]}] * 9)
    start(page)
    block(page, 2)


@pytest.mark.parametrize("name", ["phases", "request"])
def test_modules_by_themselves(name):
    if not shutil.which("node"):
        pytest.skip("no node")
    found = subprocess.run(
        ["node", "--test", str(Path(__file__).parent / f"{name}.test.mjs")],
        capture_output=True,
        text=True,
    )
    assert found.returncode == 0, found.stdout


def test_the_timing_page_measures(new_page, server):
    page = new_page()
    page.goto(server.url + "timing?trials=8")
    page.get_by_role("button", name="Flash").click()
    expect(page.locator("#result")).to_contain_text("trials", timeout=60_000)
    found = json.loads(page.locator("#result").text_content())
    assert len(found["trials"]) == len(found["by_timer_ms"]) == 8
    assert set(found["trials"][0]) >= {"stimulus_ms", "dropped", "longest_gap_ms", "onset_ms"}


def test_pictures_of_the_demonstration(new_page, tmp_path_factory):
    pytest.importorskip("onnxruntime")
    folder = tmp_path_factory.mktemp("demo")
    made = ExperimentServer(folder, None, *SHORT)
    try:
        new_page.expected.append("asked elsewhere")
        page = new_page()
        begin(page, made, [{"keys": [["KeyS", 300]]}] * 60)
        expect(page.locator("#banner")).to_contain_text("Demonstration")
        for number in (1, 2):
            block(page, number)
            start(page)
        answer_questions(page)
        assert len(trials_of(made, page)) == 16
    finally:
        made.stop()
