"""What goes wrong around a page: a slow partner, a server that fails, a tab that takes over."""

import contextlib
import shutil
import sqlite3
import time

import pytest

pytest.importorskip("playwright", reason="no playwright: pip install -e '.[browser]'")

import game_world
import served_model
from browser_world import Server, round_in_state
from playwright.sync_api import expect
from steps import CORNER, agree, at, ready, says

pytestmark = pytest.mark.slow
TO_AND_FRO = [(12 + 3 * n, 12 + n % 5) for n in range(30)]


@contextlib.contextmanager
def no_writes(server, seconds):
    """Holds the database's one turn to write, so that the server answers 500 after its five."""
    connection = sqlite3.connect(server.folder / "game.db", isolation_level=None, timeout=5)
    connection.execute("BEGIN IMMEDIATE")
    began = time.monotonic()
    try:
        yield
        time.sleep(max(0, seconds - (time.monotonic() - began)))
    finally:
        connection.execute("ROLLBACK")
        connection.close()


def test_a_server_that_fails_loses_nothing(page, server, new_page):
    new_page.expected += ["500"]
    failed = []
    page.on("response", lambda answer: answer.status == 500 and failed.append(answer.url))
    agree(page, server)
    page.mouse.move(*at(page, 12, 12))
    page.mouse.down()
    page.mouse.move(*at(page, 244, 12))  # the brush follows by itself, 33 ticks long
    round_in_state(server, "playing")
    with no_writes(server, 8):
        expect(page.get_by_text("Your connection is down")).to_be_visible(timeout=15_000)
        expect(page.locator("#trouble")).to_contain_text("may not count", timeout=15_000)
    expect(page.locator("#line")).to_be_hidden(timeout=20_000)
    assert failed, "the server never answered 500"
    row = round_in_state(server, "abandoned", stored=10)
    with sqlite3.connect(server.folder / "game.db") as connection:
        batches = connection.execute(
            "SELECT first, count FROM bubble_batches WHERE round_id = ? ORDER BY first",
            (row["id"],),
        ).fetchall()
    assert [first for first, _ in batches] == [
        sum(count for _, count in batches[:n]) for n in range(len(batches))
    ]
    # Not before: the button that was offered meanwhile gives way to the result's own.
    says(page, "The connection was lost")
    page.get_by_role("button", name="Next picture").click()
    ready(page)


def test_a_tab_that_is_taken_over(new_page, long_rounds):
    """Its round ends as hidden, keeps its bubbles, and it may play on by taking back."""
    new_page.expected += ["409", "asked elsewhere"]  # another server than the module's
    server, page = long_rounds, new_page()
    agree(page, server)
    page.mouse.move(*at(page, *CORNER[0]))
    page.mouse.down()
    page.mouse.move(*at(page, 60, 20), steps=4)
    round_in_state(server, "playing")
    other = page.context.new_page()
    other.goto(server.url + "play")
    other.get_by_role("button", name="Play here").click()
    ready(other)
    round_in_state(server, "hidden")
    # Chromium without a screen never hides a tab, so the first one plays to its end.
    says(page, "This round ended")
    page.get_by_role("button", name="Next picture").click()
    expect(page.get_by_role("heading", name="You are playing in another tab")).to_be_visible()
    page.get_by_role("button", name="Play here").click()
    ready(page)
    with sqlite3.connect(server.folder / "game.db") as connection:
        counts = connection.execute(
            "SELECT count(*) FROM rounds WHERE state IN ('offered', 'playing') GROUP BY session_id"
        ).fetchall()
    assert all(count == (1,) for count in counts)


@pytest.fixture
def slow_server(tmp_path):
    """A game whose partner, behind TensorFlow Serving's protocol, takes a second and a half."""
    game_world.draw_pictures(tmp_path / "drawn", each=12)
    for drawn, name in zip(game_world.CLASSES, served_model.NAMES, strict=True):
        shutil.copytree(tmp_path / "drawn" / drawn, tmp_path / "pictures" / name)
    with served_model.running() as (url, model):
        made = Server(
            tmp_path,
            f"--partner=serving:{url}",
            "--partner_patience_ms=1000",
            "--minimum_probability=0.9",  # never recognised
        )
        model.slow_s = 1.5
        yield made
        made.stop()


def test_a_slow_partner_is_told_and_costs_no_bubble(chromium, slow_server):
    context = chromium.new_context()
    page = context.new_page()
    agree(page, slow_server)
    page.evaluate(
        "window.said = []; const says = document.querySelector('#says');"
        "new MutationObserver(() => said.push(says.textContent)).observe(says, {childList: true})"
    )
    path = [at(page, *place) for place in TO_AND_FRO]
    page.mouse.move(*path[0])
    page.mouse.down()
    for place in path * 10:
        page.mouse.move(*place)
        time.sleep(0.06)
        if page.locator("#main").get_attribute("data-phase") != "playing":
            break
    expect(page.locator("#main")).to_have_attribute("data-phase", "ended", timeout=20_000)
    assert any("slow today" in text for text in page.evaluate("window.said"))
    with sqlite3.connect(slow_server.folder / "game.db") as connection:
        first = "SELECT state, bubbles FROM rounds ORDER BY offered_at LIMIT 1"
        state, bubbles = connection.execute(first).fetchone()
        assert state in ("timed_out", "recognised") and bubbles > 20
        asked = connection.execute("SELECT count(*) FROM queries").fetchone()[0]
    assert 1 <= asked <= 6, "a slow partner is asked less often"
    context.close()
