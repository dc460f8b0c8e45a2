"""A build without the building: all is listed, read and checked, and all that is wrong named.

What a build keeps in its staging directory lies in a temporary one meanwhile, without shards.
"""

import dataclasses
import itertools
import os
import sys
import tempfile
import time

from absl import flags

from data_prep.building import build, finish, runners, shards, summary
from data_prep.building import flags as build_flags
from data_prep.building import plan as build_plan
from data_prep.readers import listing

MOST_SHOWN = 200  # lines of one kind on the screen


def look(flag_values: flags.FlagValues) -> bool:
    """Prints what the build of these flags would hold, leave out and fail of.

    Returns whether it would succeed.
    """
    build.check(flag_values)
    started = time.monotonic()
    with listing.recorded(goes_on=True) as listed, tempfile.TemporaryDirectory() as directory:
        try:
            source = build.load_source(flag_values, None)
            plan = build_plan.make(
                os.path.join(directory, shards.PLAN),
                source.items,
                build.shards_wanted(flag_values),
                build_flags.fingerprint(flag_values),
            )
        except ValueError as error:
            listed.faults.append(str(error))
            _print_faults({"faults of the raw material end the build": listed.faults})
            print("No image was read: the above comes before.")
            return False
        summary.say_missing_splits(flag_values, source, plan)
        summary.say_classes(source.class_names)
        job = dataclasses.replace(
            build.make_job(flag_values, directory, source, plan),
            dry=True,
            on_bad_image="skip",
            on_bad_map="skip",
        )
        images = sum(plan.images.values())
        sys.stdout.flush()
        runners.run_local(job, plan.all_shards(), flag_values.num_workers, images, 0)
        return _report(flag_values, listed, source, plan, job, time.monotonic() - started)


def _report(flag_values, listed, source, plan, job, seconds):
    found = finish.repeated(plan, job)
    said, _ = finish.said_and_written(plan, job, set())
    for fault in said.faults:
        listed.faults.append(fault)
    ends = {
        "faults of the raw material end the build": listed.faults,
        "images are damaged; --on_bad_image=skip leaves them out": (
            said.bad if flag_values.on_bad_image == "fail" else []
        ),
        "maps cannot be used; --on_bad_map=skip keeps their images without them": (
            said.bad_maps if flag_values.on_bad_map == "fail" else []
        ),
        "pictures are in two splits; --on_duplicate=drop leaves out the first of the two": (
            found.lines if flag_values.on_duplicate == "error" else []
        ),
    }
    failing = any(ends.values())
    _print_faults(ends)
    for why, lines in summary.by_reason(listed.left_out, said, found).items():
        if lines not in ends.values():
            _print(f"{len(lines):,} {why}; left out", lines)
    if found.repeated:
        print(f"{found.repeated:,} images repeat another of their split; they are kept")
    if found.contradictory:
        number = len(found.contradictory)
        _print(f"{number:,} of these are of two classes, one of them wrong", found.contradictory)
    if said.remarks:
        _print(f"{len(said.remarks):,} images are not stored in all that they are", said.remarks)
    _print_splits(source, plan, job, {name for name, *_ in found.across})
    images = sum(plan.images.values())
    print(
        f"{images:,} images looked at in {seconds:.1f} s ({images / seconds:,.0f}/s); nothing was "
        f"written. The build would {'fail' if failing else 'succeed'}."
    )
    return not failing


def _print_faults(ends):
    for why, lines in ends.items():
        if lines:
            _print(f"{len(lines):,} {why}", lines)


def _print(head, lines):
    """A heading and its lines; of very many the first, and a file of this machine that has all."""
    shown, where = lines, ""
    if len(lines) > MOST_SHOWN:
        number, path = tempfile.mkstemp(prefix="dry_run-", suffix=".txt")
        with open(number, "w", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in lines)
        shown, where = itertools.islice(lines, listing.SHOWN), f" (all of them: {path})"
    print(f"{head}{where}:")
    for line in shown:
        print(f"  {line}")


def _print_splits(source, plan, job, left_out):
    """What would be in each split, once the faults above are left out."""
    print(f"{'split':<11} {'images':>9} {'with maps':>9} {'classes':>9} {'shards':>6}")
    for split, count in plan.shards.items():
        rows = [
            row
            for index in range(count)
            for row in job.contents(split, index).rows
            if row.image_id not in left_out
        ]
        classes = f"{len({row.label for row in rows})}/{len(source.class_names)}"
        mapped = sum(row.has_clickmap for row in rows)
        print(f"{split:<11} {len(rows):>9,} {mapped:>9,} {classes:>9} {count:>6}")
