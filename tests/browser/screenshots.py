"""Pictures of every page at three widths, and a film strip of a round, to be looked at.

    python tests/browser/screenshots.py DIR

Plays the built-in pictures against the built-in partner, as a person would.
"""

import io
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from browser_world import CHROMIUM, FLAGS, Server
from PIL import Image
from playwright.sync_api import sync_playwright
from steps import agree, at, ready

WIDTHS = {320: 640, 768: 1024, 1280: 800}  # width: height
PAGES = ("", "instructions", "play", "leaderboard", "about", "me", "nothing-here")
FRAMES, SECONDS = 8, 7.5


def main(output: Path) -> None:
    """Starts the command and takes the pictures."""
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        server = Server(Path(folder), "--images=", "--partner=demo")
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            for width, height in WIDTHS.items():
                page = browser.new_page(viewport={"width": width, "height": height})
                take_pages(page, server, output, width)
                film(page, server, output / f"round-{width}.png")
                page.close()
        finally:
            browser.close()
            server.stop()


def take_pages(page, server, output: Path, width: int) -> None:
    """Each page, as long as it is."""
    page.goto(server.url)
    page.get_by_role("button", name="I have read this").wait_for()
    page.screenshot(path=output / f"welcome-new-{width}.png", full_page=True)
    agree(page, server)
    for name in PAGES:
        page.goto(server.url + name)
        page.wait_for_load_state("networkidle")
        page.screenshot(path=output / f"{name or 'welcome'}-{width}.png", full_page=True)


def film(page, server, path: Path) -> None:
    """One round, a frame a second, side by side."""
    page.goto(server.url + "play")
    ready(page)
    frames = [page.screenshot()]
    page.mouse.move(*at(page, 70, 90))
    page.mouse.down()
    page.mouse.up()
    began = time.monotonic()
    while len(frames) < FRAMES:
        spent = time.monotonic() - began
        page.mouse.move(*at(page, 128 + 60 * ((spent * 2) % 2 - 1), 80 + 14 * spent))
        if spent > len(frames) * SECONDS / (FRAMES - 1):
            frames.append(page.screenshot())
        time.sleep(0.02)
    time.sleep(1)
    frames[-1] = page.screenshot()
    images = [Image.open(io.BytesIO(frame)).convert("RGB") for frame in frames]
    size = (images[0].width * 420 // images[0].height, 420)
    strip = Image.new("RGB", (size[0] * 4, size[1] * 2))
    for number, image in enumerate(images):
        strip.paste(image.resize(size), (number % 4 * size[0], number // 4 * size[1]))
    strip.save(path)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
