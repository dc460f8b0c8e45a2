"""Rounds in a real browser, from the first page to how each ends."""

import time

import pytest

pytest.importorskip("playwright", reason="no playwright: pip install -e '.[browser]'")

from browser_world import newest_round, round_in_state
from playwright.sync_api import expect
from steps import CORNER, MIDDLE, agree, at, next_picture, paint, ready, says

pytestmark = pytest.mark.slow


def test_recognised(page, server):
    agree(page, server)
    paint(page, MIDDLE)
    says(page, "Got it!")
    expect(page.locator("#worth")).to_contain_text("points")
    row = round_in_state(server, "recognised")
    assert row["input"] == "mouse" and row["points"] > 0
    assert not set(row["flags"].split(",")) & {"clock", "step", "too_many", "outside", "script"}
    next_picture(page)


def test_timed_out(new_page, long_rounds):
    new_page.expected.append("asked elsewhere")  # another server than the module's
    server, page = long_rounds, new_page()
    agree(page, server)
    page.evaluate(
        "window.said = []; new MutationObserver(() => said.push(says.textContent))"
        ".observe(says, {childList: true})"
    )
    paint(page, [(12 + 10 * n, 12) for n in range(24)], seconds=3)  # the figure is in the middle
    says(page, "Time is up. I did not get it.")
    said = " ".join(page.evaluate("said"))
    assert "I am looking" in said and "Not yet. Show me more" in said, said
    expect(page.locator("#guesses")).to_contain_text("I thought of")
    round_in_state(server, "timed_out")


def test_skipped_with_a_reason(page, server):
    agree(page, server)
    page.get_by_role("button", name="Skip").click()
    page.get_by_label("I would rather not look at it").check()
    page.get_by_role("button", name="Skip it").click()
    says(page, "Skipped.")
    assert round_in_state(server, "skipped")["skip_reason"] == "upsetting"


def test_hidden(page, server):
    agree(page, server)
    paint(page, CORNER, seconds=0.5)
    page.evaluate(
        "Object.defineProperty(document, 'hidden', {value: true});"
        "document.dispatchEvent(new Event('visibilitychange'))"
    )
    says(page, "This round ended when the page was hidden")
    assert round_in_state(server, "hidden")["bubbles"] > 0


def test_a_reload_in_the_middle_of_a_round(page, server):
    agree(page, server)
    paint(page, CORNER, seconds=0.7)
    page.reload()
    ready(page)
    row, now = round_in_state(server, "hidden", stored=1), newest_round(server)
    assert now["state"] == "offered" and now["image_id"] != row["image_id"]


def test_offline_for_five_seconds(page, server, new_page):
    new_page.expected += ["ERR_INTERNET_DISCONNECTED", "Failed to fetch"]
    agree(page, server)
    path = [at(page, 12 + 2 * n, 12 + n % 5) for n in range(25)]
    page.mouse.move(*at(page, *CORNER[0]))
    page.mouse.down()
    round_in_state(server, "playing")
    page.context.set_offline(True)
    for place in path:  # painting goes on; none of it is lost
        page.mouse.move(*place)
        time.sleep(0.1)
    expect(page.get_by_text("Your connection is down")).to_be_visible()
    time.sleep(2.5)
    page.context.set_offline(False)
    expect(page.get_by_text("Your connection is down")).to_be_hidden(timeout=20_000)
    assert round_in_state(server, "abandoned", stored=3)["bubbles"] == 0


def test_two_tabs(page, server, new_page):
    new_page.expected += ["409"]
    agree(page, server)
    other = page.context.new_page()
    other.goto(server.url + "play")
    expect(other.get_by_role("heading", name="You are playing in another tab")).to_be_visible()
    other.get_by_role("button", name="Play here").click()
    ready(other)


def test_touch(new_page, server):
    page = new_page(has_touch=True, viewport={"width": 360, "height": 740})
    agree(page, server)
    page.touchscreen.tap(*at(page, 20, 20))
    expect(page.locator("#main")).to_have_attribute("data-phase", "playing")
    says(page, "Time is up. I did not get it.")
    assert round_in_state(server, "timed_out")["input"] == "touch"


def test_keyboard_only(page, server):
    """Rows key-space, key-arrows, key-enter and key-s of the page's own table."""
    agree(page, server)
    page.keyboard.press("Space")
    expect(page.locator("#main")).to_have_attribute("data-phase", "playing")
    for key in ("ArrowLeft", "ArrowDown", "ArrowRight", "ArrowUp", "ArrowRight"):
        page.keyboard.down(key)
        time.sleep(0.5)
        page.keyboard.up(key)
    expect(page.locator("#main")).to_have_attribute("data-phase", "ended", timeout=15_000)
    page.keyboard.press("Enter")
    ready(page)
    page.keyboard.press("s")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    ready(page)


def test_brush_at_twice_the_size_of_pixels(new_page, server):
    page = new_page(device_scale_factor=2, viewport={"width": 1400, "height": 1000})
    agree(page, server)
    paint(page, MIDDLE)
    says(page, "Got it!")
    row = round_in_state(server, "recognised")
    assert ",outside," not in row["flags"]


def test_leaderboard_my_data_and_withdrawal(page, server):
    agree(page, server)
    paint(page, MIDDLE)
    says(page, "Got it!")
    page.goto(server.url + "leaderboard")
    expect(page.get_by_role("row", name="(you)")).to_be_visible(timeout=10_000)
    page.goto(server.url + "me")
    page.get_by_label("E-mail address").fill("otter@example.org")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#contact-saved")).to_have_text("Saved.")
    expect(page.locator("#facts")).to_contain_text("bubbles")
    page.get_by_role("button", name="Withdraw from the study").click()
    page.get_by_role("button", name="Yes, delete my data").click()
    expect(page.locator("#gone")).to_contain_text("Nothing here leads to you")


def test_the_server_is_gone_and_comes_back(page, server, new_page):
    new_page.expected += [
        "ERR_CONNECTION_REFUSED",
        "Failed to fetch",
        "503",
        "ERR_CONNECTION_RESET",
        "ERR_CONTENT_LENGTH_MISMATCH",  # killed in the middle of an answer
    ]
    agree(page, server)
    port, begun = server.port, newest_round(server)["id"]
    page.mouse.move(*at(page, *CORNER[0]))
    page.mouse.down()
    round_in_state(server, "playing")
    server.stop(9)
    page.mouse.move(*at(page, *CORNER[1]), steps=5)
    time.sleep(1)
    server.start(port)
    button = page.get_by_role("button", name="Next picture")  # after an end, or after trouble
    expect(button).to_be_visible(timeout=30_000)
    expect(page.locator("#line")).to_be_hidden(timeout=20_000)
    ended = round_in_state(server, ("timed_out", "abandoned"), stored=1)
    assert ended["id"] == begun
    button.click()
    ready(page)
