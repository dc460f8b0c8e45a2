"""Who makes the shards: this process, several on this machine, or an Apache Beam pipeline.

Every shard is a function of the plan and the raw material, so all of them write the same bytes.
"""

import concurrent.futures
import time
from collections.abc import Sequence

from tqdm import tqdm

from data_prep.building.shards import ShardJob
from data_prep.parallel import workers

LOCAL = "local"
POLL_SECONDS = 0.5


class _StoppedError(Exception):
    """Another worker failed; what this one was at is made anew next time."""


def run_local(
    job: ShardJob, shards: Sequence[tuple[str, int]], num_workers: int, images: int, done: int
) -> None:
    """Makes shards on this machine, a process a shard, up to `num_workers` at once.

    `images`: of the whole build; `done` of them are in shards that are finished.

    ValueError: of the first shard that fails; or a process died.
    """
    with tqdm(
        total=images, initial=done, unit=" images", mininterval=0.5, smoothing=0.05
    ) as progress:
        if num_workers <= 1 or len(shards) <= 1:
            for split, index in shards:
                job.make(split, index, progress.update)
            return
        _run_processes(job, shards, num_workers, done, progress)


def _run_processes(job, shards, num_workers, done, progress):
    made, stop = workers.CONTEXT.Value("Q", 0), workers.CONTEXT.Value("b", 0)
    with workers.pool(min(num_workers, len(shards)), _start_worker, (job, made, stop)) as pool:
        waiting = {pool.submit(_make, split, index) for split, index in shards}
        try:
            while waiting:
                finished, waiting = concurrent.futures.wait(
                    waiting, POLL_SECONDS, concurrent.futures.FIRST_EXCEPTION
                )
                progress.update(done + made.value - progress.n)
                for future in finished:
                    future.result()
        except BaseException:
            stop.value = 1  # workers notice after the image they are at
            raise


_worker = None  # (job, counter, stop flag) of this process, if it is a worker


def _start_worker(job, made, stop):
    global _worker
    _worker = job, made, stop


def _make(split, index):
    job, made, stop = _worker

    def progress():
        with made.get_lock():
            made.value += 1
        if stop.value:
            raise _StoppedError

    job.make(split, index, progress)


def run_beam(
    job: ShardJob, shards: Sequence[tuple[str, int]], runner: str, options: Sequence[str]
) -> None:
    """Makes shards as an Apache Beam pipeline, an element a shard.

    Args:
      runner: as Beam names it, such as DirectRunner, DataflowRunner, FlinkRunner, SparkRunner.
      options: pipeline options, such as "--project=mine".

    ValueError: Beam is not installed, or does not know the runner or an option.
    """
    try:
        import apache_beam as beam
        from apache_beam.options.pipeline_options import PipelineOptions
    except ImportError:
        raise ValueError(
            f"--runner={runner} needs Apache Beam. Install the extra: pip install -e '.[beam]'"
        ) from None

    started = time.monotonic()
    images = beam.metrics.Metrics.counter("data_prep", "images")

    def make(shard):
        job.make(*shard, images.inc)

    try:
        pipeline = beam.Pipeline(options=PipelineOptions([f"--runner={runner}", *options]))
        (
            pipeline
            | "Shards" >> beam.Create(list(shards))
            | "Spread" >> beam.Reshuffle()  # or a runner may fuse all of them into one worker
            | "Make" >> beam.Map(make)
        )
        pipeline.run().wait_until_finish()
    except Exception as error:  # of many kinds: each runner wraps what happened in its own way
        lines = [line for line in str(error).splitlines() if line.strip()]
        raise ValueError(f"--runner={runner}: the pipeline failed: {lines[-1:]}") from error
    print(f"{runner}: {len(shards)} shards in {time.monotonic() - started:.1f} s")
