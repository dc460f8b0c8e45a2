"""Pictures of every screen of the experiment at three widths, and a film strip of a trial.

    python tests/browser/experiment_screenshots.py DIR

One person takes part in the demonstration; each screen is taken at all widths before it goes on.
"""

import io
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from browser_world import CHROMIUM, FLAGS
from experiment_server import ExperimentServer, answer_questions, block, consent, start, understand
from PIL import Image
from playwright.sync_api import expect, sync_playwright

WIDTHS = {320: 640, 768: 1024, 1280: 800}  # width: height
QUICK = ("--training_passes=1", "--training_most=2", "--blocks=2", "--degrees=8")


def main(output: Path) -> None:
    """Starts the command and takes the pictures."""
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        server = ExperimentServer(Path(folder), None, *QUICK)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            take_errors(browser, server, output)
            take_part(browser, server, output)
        finally:
            browser.close()
            server.stop()


def take(page, output: Path, name: str) -> None:
    """The screen at all widths, as long as it is; then as wide as the experiment needs."""
    for width, height in WIDTHS.items():
        page.set_viewport_size({"width": width, "height": height})
        page.screenshot(path=output / f"{name}-{width}.png", full_page=True)


def take_errors(browser, server, output: Path) -> None:
    """What people meet who cannot go on."""
    small = browser.new_page(viewport={"width": 600, "height": 500})
    small.goto(server.url)
    expect(small.get_by_text("smaller than")).to_be_visible(timeout=20_000)
    take(small, output, "too-small")
    small.close()
    wrong = browser.new_page()
    consent(wrong, server)
    fit(wrong)
    for _ in range(2):
        wrong.get_by_label("I press nothing").check()
        wrong.get_by_label("As soon as the cross appears").check()
        wrong.get_by_role("button", name="Go on").click()
        wrong.wait_for_timeout(500)
        take(wrong, output, "misunderstood")
    wrong.close()


def fit(page) -> None:
    """Calibrates the screen, as it is."""
    page.get_by_role("button", name="It fits").click(timeout=20_000)


def take_part(browser, server, output: Path) -> None:
    """The whole way, with a second tab and a lost connection."""
    page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
    for name in ("about", "me", "timing", "nothing-here"):
        page.goto(server.url + name)
        page.wait_for_load_state("networkidle")
        take(page, output, name)
    page.goto(server.url)
    page.get_by_role("button", name="I have read this").wait_for()
    take(page, output, "consent")
    consent(page, server)
    page.get_by_role("button", name="It fits").wait_for()
    take(page, output, "calibration")
    fit(page)
    expect(page.get_by_role("heading", name="How it goes")).to_be_visible()
    take(page, output, "instructions")
    understand(page)
    expect(page.get_by_role("heading", name="Your two keys")).to_be_visible()
    take(page, output, "keys")
    second = page.context.new_page()
    second.goto(server.url)
    expect(second.get_by_text("open in another tab")).to_be_visible(timeout=20_000)
    take(second, output, "second-tab")
    second.close()
    page.get_by_role("button", name="Begin the training").click()
    answer_all(page)
    block(page, 1)
    take(page, output, "block")
    start(page)
    film(page, output / "trial.png")
    page.context.set_offline(True)
    answer_all(page)
    expect(page.locator("#feedback")).to_contain_text("Storing your answers", timeout=90_000)
    take(page, output, "lost-connection")
    page.context.set_offline(False)
    block(page, 2)
    take(page, output, "break")
    start(page)
    answer_all(page)
    expect(page.get_by_role("heading", name="Three last questions")).to_be_visible(timeout=90_000)
    take(page, output, "questions")
    answer_questions(page)
    take(page, output, "done")
    page.goto(server.url)
    expect(page.get_by_text("You have taken part")).to_be_visible(timeout=20_000)
    take(page, output, "again")


def answer_all(page) -> None:
    """Presses a key now and then until no trial runs any more."""
    page.wait_for_timeout(300)
    while page.locator("#main").get_attribute("data-screen") in ("run", "loading"):
        page.keyboard.press("KeyS")
        page.wait_for_timeout(400)


def film(page, path: Path) -> None:
    """Screens of one trial that nobody answers, as fast as they can be taken, side by side."""
    frames, until = [], time.monotonic() + 3.5
    while time.monotonic() < until:
        frames.append(Image.open(io.BytesIO(page.screenshot())).convert("RGB"))
    size = (320, 200)
    strip = Image.new("RGB", (size[0] * 6, size[1] * -(-len(frames) // 6)), "white")
    for number, frame in enumerate(frames):
        strip.paste(frame.resize(size), (number % 6 * size[0], number // 6 * size[1]))
    strip.save(path)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
