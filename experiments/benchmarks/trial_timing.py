"""How exact trials are in this machine's chromium: planned against measured, idle and loaded.

    python experiments/benchmarks/trial_timing.py --trials=200

Opens the experiment's page /timing in headless chromium, once as the machine is, and once with a
process on each core beside it. Each run has as many stimuli by frames, as the experiment shows
them, and as many that a timer ends, in turn. What is measured are frames' own stamps: they tell
when a frame was begun, not when light changed. Compare rows, not machines.

    stimulus    median, smallest and largest, ms; planned 400
    off         trials whose stimulus was longer or shorter than planned by more than half a period
    flagged     trials off by more than a period, which the analysis leaves out
    lost        frames that did not come in time, of all
"""

import dataclasses
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "browser")]

from gala_tf import command  # noqa: E402

CHROMIUM = "/usr/bin/chromium"


@dataclasses.dataclass(frozen=True)
class Options:
    """Flags."""

    trials: int = command.flag(200, "Stimuli of each kind.")
    loads: str = command.flag("idle,busy", "Runs, by commas: idle, busy.")


def row(load: str, found: dict) -> str:
    """A line of the table."""
    trials, period = found["trials"], found["period_ms"]
    shown = [trial["stimulus_ms"] for trial in trials]
    off = [abs(value - 400) for value in shown]
    frames = sum(trial["frames"] for trial in trials)
    lost = sum(trial["dropped"] for trial in trials)
    timer = found["by_timer_ms"]
    timer_off = sum(abs(value - 400) > period / 2 for value in timer)
    return (
        f"{load:5} frames  {statistics.median(shown):6.1f} {min(shown):6.1f} {max(shown):6.1f}  "
        f"off {sum(value > period / 2 for value in off):3}  "
        f"flagged {sum(value > period for value in off):3}  lost {lost} of {frames}, "
        f"longest gap {max(trial['longest_gap_ms'] for trial in trials):.0f} ms\n"
        f"{load:5} timer   {statistics.median(timer):6.1f} {min(timer):6.1f} {max(timer):6.1f}  "
        f"off {timer_off:3}  flagged {sum(abs(value - 400) > period for value in timer):3}"
    )


def measure(url: str, trials: int, load: str) -> dict:
    """What the page found."""
    from playwright.sync_api import sync_playwright  # of the extra [browser]

    busy = [multiprocessing.Process(target=_spin, daemon=True) for _ in range(os.cpu_count() or 1)]
    for process in busy if load == "busy" else ():
        process.start()
    try:
        with sync_playwright() as playwright:
            flags = ["--no-sandbox", "--disable-gpu"]
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
            page = browser.new_page()
            page.goto(f"{url}timing?trials={trials}")
            page.get_by_role("button", name="Flash").click()
            page.get_by_text("What was measured").wait_for(timeout=trials * 20_000)
            return json.loads(page.locator("#result").text_content())
    finally:
        for process in busy if load == "busy" else ():
            process.terminate()


def _spin():
    while True:
        pass


def main() -> None:
    """Prints the table."""
    import experiment_world  # of the tests, as the server is
    from experiment_server import ExperimentServer

    options = command.from_flags(Options)
    with tempfile.TemporaryDirectory() as folder:
        server = ExperimentServer(Path(folder), experiment_world.small_set())
        try:
            for load in options.loads.split(","):
                print(row(load, measure(server.url, options.trials, load)), flush=True)
        finally:
            server.stop()


if __name__ == "__main__":
    command.define_flags(Options)
    command.run(main, tensorflow=False)
