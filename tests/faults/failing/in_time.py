"""Signals, notices of preemption, and an input or a device that hangs."""

import contextlib
import dataclasses
import functools
import http.server
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from pathlib import Path

import numpy as np
import small_data
import tensorflow as tf
from faults.failing import ENDED, FAILURE, HARMLESS, REPORTED, SAVED, Kind

from gala_tf.evaluation import evaluator
from gala_tf.resilience import interruption, stall
from gala_tf.runs import checkpoints, logs
from gala_tf.training import loop

ROOT = Path(__file__).resolve().parents[3]
EXIT_SECONDS = 30  # that a preempted machine has

# A process without TensorFlow that does what training does: calls that cannot be interrupted.
CHILD = """
import hashlib, signal, sys, time
from gala_tf.resilience import interruption

interruption.CALL_SECONDS, interruption.POLL_SECONDS = 0.5, 0.05

def call(rounds=400_000):
    hashlib.pbkdf2_hmac("sha256", b"a", b"b", rounds)  # in C, without Python's lock

try:
    with interruption.Watch(lambda text: print(text, flush=True)) as watch:
        print("started", flush=True)
        {before}
        watch.begin()
        print("begun", flush=True)
        for _ in range({calls}):
            {each}
            watch.check("saved")
    print("whole", flush=True)
except interruption.Interrupted as end:
    print(end)
    sys.exit(end.status)
"""


@contextlib.contextmanager
def child(before="pass", each="call()", calls=400, **environment):
    """The process, from a line of text on."""
    code = textwrap.dedent(CHILD).format(before=before, each=each, calls=calls)
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **environment},
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _until(process, word):
    for line in process.stdout:
        if line.startswith(word):
            return


def _ended(process, status, words, outcome):
    text = process.stdout.read()
    code = process.wait()
    fits = code == status and all(word in text for word in words)
    return (outcome if fits else FAILURE), f"exit status {code}: {text.strip()}"


def _one_signal(number, folder, rng):
    with child() as process:
        _until(process, "begun")
        process.send_signal(number)
        words = (number.name, "saved", "Once more ends the run at once")
        return _ended(process, 128 + number, words, SAVED)


def _before_the_first_steps(number, folder, rng):
    """While the network is compiled, in a call that does not return."""
    with child(before="call(10**9)") as process:
        _until(process, "started")
        process.send_signal(number)
        return _ended(process, 128 + number, (number.name, "nothing to save"), ENDED)


def _second_signal(first, second, folder, rng):
    """The call that the first one waits for hangs."""
    with child(each="call(10**9)") as process:
        _until(process, "begun")
        process.send_signal(first)
        _until(process, first.name)
        process.send_signal(second)
        return _ended(process, 128 + second, ("Ending at once",), ENDED)


def _ignored(folder, rng):
    """A shell starts background jobs with SIGINT ignored; Ctrl-C is not meant for them."""
    code = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); import os, sys; "
    code += "os.execv(sys.executable, [sys.executable, '-c', sys.argv[1]])"
    inner = textwrap.dedent(CHILD).format(before="pass", each="call(200_000)", calls=3)
    process = subprocess.Popen(
        [sys.executable, "-c", code, inner],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    _until(process, "begun")
    process.send_signal(signal.SIGINT)
    return _ended(process, 0, ("whole",), HARMLESS)


@contextlib.contextmanager
def metadata_server(answer):
    """host:port of a server that answers every question by `answer(handler)`."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            with contextlib.suppress(OSError):
                answer(self)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def says(text, status=200):
    """An answer, where it is asked as Google's server demands."""

    def answer(handler):
        asked = handler.path == interruption.NOTICE_PATH
        asked &= handler.headers.get("Metadata-Flavor") == "Google"
        handler.send_response(status if asked else 403)
        handler.end_headers()
        handler.wfile.write(text)

    return answer


def _notice(answer, preempted, folder, rng):
    calls = 400 if preempted else 3
    with metadata_server(answer) as host:
        with child(each="call(200_000)", calls=calls, GCE_METADATA_HOST=host) as process:
            if preempted:
                return _ended(process, 143, ("notice of preemption: saved",), SAVED)
            return _ended(process, 0, ("whole",), HARMLESS)


@functools.cache
def reference():
    """(data set, flags, weights by step) of a run that nothing disturbs."""
    folder = Path(tempfile.mkdtemp(prefix="runs-"))
    (folder / "data").mkdir()
    small_data.build(folder / "data")
    changes = dict(epochs=8.0, steps_per_loop=1, warmup_epochs=0.0, eval_every_epochs=2.0)
    changes["eval_batch_size"] = 4  # several batches, between which a validation can be interrupted
    cfg = small_data.small_config(folder / "data", folder / "whole", **changes)
    loop.train_and_evaluate(cfg)
    return cfg


def forget():
    """Removes the undisturbed run."""
    if reference.cache_info().currsize:
        shutil.rmtree(Path(reference().model_dir).parent, ignore_errors=True)
        reference.cache_clear()


def weights(model_dir, which="checkpoints"):
    """{variable: value} of the newest checkpoint."""
    path, _ = checkpoints.complete(os.path.join(model_dir, which))[-1]
    reader = tf.train.load_checkpoint(os.path.join(path, checkpoints.PREFIX))
    names = set(reader.get_variable_to_shape_map()) - {"_CHECKPOINTABLE_OBJECT_GRAPH"}
    return {name: reader.get_tensor(name) for name in names}


def same(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


def numbers(model_dir):
    """What was validated when."""
    lines = [line for line in logs.read_metrics(model_dir) if line["kind"] == "validation"]
    return [(line["step"], line["top1"], line["cross_entropy"]) for line in lines]


def _whole_run(interrupt, status, folder, rng):
    """Starts a run, interrupts it, lets it finish, and compares it with the undisturbed one."""
    whole = reference()
    cfg = dataclasses.replace(whole, model_dir=str(folder / "run"))
    command = [sys.executable, "-m", "gala_tf.train", *small_data.flag_arguments(cfg)]
    with metadata_server(lambda handler: interrupt.answer(handler)) as host:
        environment = {**os.environ, "PYTHONUNBUFFERED": "1", "GCE_METADATA_HOST": host}
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        while not (Path(cfg.model_dir) / "metrics.jsonl").exists() or not logs.read_metrics(
            cfg.model_dir
        ):
            if process.poll() is not None:
                return FAILURE, process.stdout.read()
            time.sleep(0.02)
        asked = time.monotonic()
        interrupt(process)
        text = process.stdout.read()
        code, seconds = process.wait(), time.monotonic() - asked
    saved = checkpoints.complete(os.path.join(cfg.model_dir, "checkpoints"))
    step = saved[-1][1]["step"] if saved else 0
    if code != status or not 0 < step < 40 or f"step {step} is saved" not in text:
        return FAILURE, f"exit status {code}, step {step}: {text[-2000:]}"
    if seconds > EXIT_SECONDS or "--flagfile=" not in text:
        return FAILURE, f"after {seconds:.0f} s: {text[-2000:]}"
    return _finish(cfg, f"exit status {code} after {seconds:.1f} s; resumed at step {step}")


class _Signal:
    """Sends a signal."""

    def __init__(self, number):
        self.number = number

    def __call__(self, process):
        process.send_signal(self.number)

    def answer(self, handler):
        says(b"FALSE")(handler)


class _Notice:
    """Lets the metadata server say that the machine is taken away."""

    def __init__(self):
        self.given = False

    def __call__(self, process):
        self.given = True

    def answer(self, handler):
        says(b"TRUE" if self.given else b"FALSE")(handler)


def _interrupted_validation(folder, rng):
    """In this process: the end is asked for between two batches of a validation."""
    cfg = dataclasses.replace(reference(), model_dir=str(folder / "run"))
    original, watch_class, watches, polled = evaluator.Evaluator.run, interruption.Watch, [], []

    def watch(*arguments):
        watches.append(watch_class(*arguments))
        return watches[-1]

    def run(self, poll=lambda: None):
        def asked():
            polled.append(1)
            if len(polled) == 2:
                watches[-1].ask("SIGTERM", 143)
            poll()

        return original(self, asked)

    evaluator.Evaluator.run, interruption.Watch = run, watch
    try:
        loop.train_and_evaluate(cfg)
        return FAILURE, "it went on"
    except interruption.Interrupted as end:
        text = str(end)
    finally:
        evaluator.Evaluator.run, interruption.Watch = original, watch_class
    _, facts = checkpoints.complete(os.path.join(cfg.model_dir, "checkpoints"))[-1]
    if not facts["validation_due"] or facts["step"] != 10:
        return FAILURE, f"{facts}"
    return _finish(cfg, text)


def _finish(cfg, text):
    """Lets a run finish, and compares it with the undisturbed one."""
    whole = reference()
    loop.train_and_evaluate(cfg)
    for which in ("checkpoints", "best"):
        if not same(weights(whole.model_dir, which), weights(cfg.model_dir, which)):
            return FAILURE, f"other weights in {which} after {text}"
    if numbers(whole.model_dir) != numbers(cfg.model_dir):
        return FAILURE, f"other validations after {text}"
    return SAVED, text


def _small_data_set(folder):
    data = folder / "data"
    data.mkdir()
    return data, [shard.file for shard in small_data.build(data).splits["train"].shards]


@contextlib.contextmanager
def _heard():
    """The lines that a run says."""
    lines, say, probe = [], logs.say, stall.PROBE_SECONDS
    stall.PROBE_SECONDS, logs.say = 1.0, lines.append
    try:
        yield lines
    finally:
        stall.PROBE_SECONDS, logs.say = probe, say


def _call_that_hangs(first, words, folder, rng):
    """A call that does not return, though all of its files answer."""
    data, files = _small_data_set(folder)
    report = functools.partial(stall.report, str(data), files, 0, first)
    with _heard() as lines, stall.Watchdog(0.2) as dog, dog.watching("steps 1 to 4", report):
        deadline = time.monotonic() + 20
        while not lines and time.monotonic() < deadline:
            time.sleep(0.02)
    fits = lines and f"all {len(files)} shards answer" in lines[0] and words in lines[0]
    return (REPORTED if fits else FAILURE), f"{lines}"


def _shard_that_hangs(folder, rng):
    """A shard becomes a pipe that nobody writes to: what a dead file server looks like."""
    data, files = _small_data_set(folder)
    shard = data / files[1]
    shard.unlink()
    os.mkfifo(shard)
    with _heard() as lines:
        stall.report(str(data), files, 0, False, "steps 5 to 8", 2.0)
    with open(os.open(shard, os.O_RDWR | os.O_NONBLOCK), "wb"):
        pass  # who waits for a writer wakes up
    fits = lines and "What stalls is reading" in lines[0] and shard.name in lines[0]
    return (REPORTED if fits else FAILURE), " ".join(lines)


def _quick(seconds, folder, rng):
    """Calls that end in time, and one that may take as long as it likes (0)."""
    heard = []
    with stall.Watchdog(seconds) as watchdog:
        for _ in range(20):
            with watchdog.watching("a step", lambda *said: heard.append(said)):
                time.sleep(0.02)
    return (HARMLESS if not heard else FAILURE), f"{heard}"


TERM, INT = signal.SIGTERM, signal.SIGINT
FAULTS = {
    "SIGTERM": Kind(functools.partial(_one_signal, TERM), (SAVED,)),
    "SIGINT": Kind(functools.partial(_one_signal, INT), (SAVED,)),
    "SIGTERM while compiling": Kind(functools.partial(_before_the_first_steps, TERM), (ENDED,)),
    "SIGINT while compiling": Kind(functools.partial(_before_the_first_steps, INT), (ENDED,)),
    "SIGTERM twice, in a call that hangs": Kind(
        functools.partial(_second_signal, TERM, TERM), (ENDED,)
    ),
    "SIGINT, then SIGTERM, in a call that hangs": Kind(
        functools.partial(_second_signal, INT, TERM), (ENDED,)
    ),
    "SIGINT to a background job": Kind(_ignored, (HARMLESS,)),
    "notice of preemption": Kind(functools.partial(_notice, says(b"TRUE\n"), True), (SAVED,)),
    "notice: FALSE": Kind(functools.partial(_notice, says(b"FALSE"), False), (HARMLESS,)),
    "notice: error 500": Kind(functools.partial(_notice, says(b"TRUE", 500), False), (HARMLESS,)),
    "notice: noise": Kind(functools.partial(_notice, says(b"\x80" * 99), False), (HARMLESS,)),
    "notice: no answer": Kind(
        functools.partial(_notice, lambda handler: time.sleep(9), False), (HARMLESS,)
    ),
    "run: SIGTERM, resumed": Kind(functools.partial(_whole_run, _Signal(TERM), 143), (SAVED,)),
    "run: SIGINT, resumed": Kind(functools.partial(_whole_run, _Signal(INT), 130), (SAVED,)),
    "run: preempted, resumed": Kind(
        lambda folder, rng: _whole_run(_Notice(), 143, folder, rng), (SAVED,)
    ),
    "run: interrupted validation, resumed": Kind(_interrupted_validation, (SAVED,)),
    "stall: a shard does not answer": Kind(_shard_that_hangs, (REPORTED,)),
    "stall: a call hangs": Kind(
        functools.partial(_call_that_hangs, False, "decoding, or the device. The run waits on"),
        (REPORTED,),
    ),
    "stall: the first call hangs": Kind(
        functools.partial(_call_that_hangs, True, "or the network compiled. The run waits on"),
        (REPORTED,),
    ),
    "no stall": Kind(functools.partial(_quick, 5.0), (HARMLESS,)),
    "stalls not watched": Kind(functools.partial(_quick, 0.0), (HARMLESS,)),
}
