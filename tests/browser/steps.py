"""What a person does, a step a function."""

import time

from playwright.sync_api import Page, expect

MIDDLE = [(80 + 96 * (n % 2), 90 + 6 * n) for n in range(14)]  # to and fro over the figure
CORNER = [(12, 12), (20, 20), (12, 20)]


def agree(page: Page, server) -> None:
    """Reads, accepts, and goes to play."""
    server.since_ms = time.time_ns() // 1_000_000
    page.goto(server.url)
    page.get_by_role("button", name="I have read this").click()
    expect(page.get_by_role("heading", name="Help your partner to see")).to_be_visible()
    page.get_by_role("link", name="Play", exact=True).last.click()
    ready(page)


def ready(page: Page) -> None:
    """Waits for a picture."""
    expect(page.locator("#main")).to_have_attribute("data-phase", "ready", timeout=15_000)


def at(page: Page, x: float, y: float) -> tuple[float, float]:
    """A place of the 256 frame, on the screen."""
    box = page.get_by_role("img", name="Picture of").bounding_box()
    return box["x"] + x * box["width"] / 256, box["y"] + y * box["height"] / 256


def paint(page: Page, path, seconds: float = 3.0) -> None:
    """Clicks the first place, then moves along the others in as many seconds."""
    page.mouse.move(*at(page, *path[0]))
    page.mouse.down()
    page.mouse.up()
    for place in path[1:]:
        page.mouse.move(*at(page, *place), steps=2)
        time.sleep(seconds / len(path))  # a hand's own pace; nothing is awaited
        if page.locator("#main").get_attribute("data-phase") != "playing":
            return


def says(page: Page, text: str) -> None:
    """The partner says it."""
    expect(page.locator("#says")).to_contain_text(text, timeout=15_000)


def next_picture(page: Page) -> None:
    """Goes on."""
    page.get_by_role("button", name="Next picture").click()
    ready(page)
