"""Calls are short, notices are read, and what is asked for once stays asked for.

Signals, which end processes, are in the campaign (`failing/in_time.py`).
"""

import signal
import threading

import pytest

from gala_tf.resilience import interruption


def test_pace_is_one_step_until_a_call_after_the_first_was_measured():
    pace = interruption.Pace()
    assert pace.steps == 1
    pace.took(1, 120.0)  # compiles
    assert pace.steps == 1
    pace.took(1, 0.05)
    assert pace.steps == 100  # 5 s of steps of 50 ms
    pace.took(100, 20.0)  # slower now
    assert pace.steps == 25
    pace.took(25, 400.0)  # a step of 16 s
    assert pace.steps == 1
    pace.took(1, 0.0)
    assert pace.steps >= 10**6


def test_the_first_request_counts():
    watch = interruption.Watch(lambda text: None, "none")
    watch.check()
    assert not watch.asked
    watch.ask("SIGINT", 130)
    watch.ask("SIGTERM", 143)
    assert watch.asked
    with pytest.raises(interruption.Interrupted, match="SIGINT: step 3 is saved") as caught:
        watch.check("step 3 is saved")
    assert caught.value.status == 130


def test_handlers_are_put_back():
    before = [signal.getsignal(number) for number in interruption.SIGNALS]
    with interruption.Watch(lambda text: None, "none"):
        assert [signal.getsignal(n) for n in interruption.SIGNALS] != before
    assert [signal.getsignal(number) for number in interruption.SIGNALS] == before
    assert signal.set_wakeup_fd(-1) == -1


def test_outside_of_the_main_thread_signals_are_left_alone():
    before = signal.getsignal(signal.SIGTERM)
    seen = []

    def run():
        with interruption.Watch(lambda text: None, "none"):
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [before]


def test_where_the_notice_is(monkeypatch, tmp_path):
    monkeypatch.delenv("GCE_METADATA_HOST", raising=False)
    name = tmp_path / "product_name"
    monkeypatch.setattr(interruption, "PRODUCT_NAME", str(name))
    assert interruption.metadata_url() is None  # no such file: not a PC at all
    name.write_text("Standard PC\n")
    assert interruption.metadata_url() is None
    name.write_text("Google Compute Engine\n")
    assert (
        interruption.metadata_url()
        == "http://metadata.google.internal/computeMetadata/v1/instance/preempted"
    )
    monkeypatch.setenv("GCE_METADATA_HOST", "169.254.169.254")
    assert interruption.metadata_url().startswith("http://169.254.169.254/")
