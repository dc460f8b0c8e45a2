"""What the records of a data set hold, in a temporary SQLite file: memory does not grow with it.

Workers fill one file a shard, of the same tables; the main process joins them. What takes more than
one record to see (ids used twice, pictures in two splits, counts that differ from the sidecar's) is
a query.
"""

import itertools
import sqlite3
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from data_prep.building.duplicates import KEEPERS
from data_prep.merging import perceptual_hash
from data_prep.verification.record_checks import Facts
from gala_tf.data import dataset_info

COLUMNS = ("split", "file", "record", "offset", "length", *Facts._fields)
_TABLES = f"""
CREATE TABLE records ({", ".join(COLUMNS)});
CREATE TABLE faults (file TEXT, record INTEGER, reason TEXT);
"""
NEAR_BITS = 7  # of 255; any two codes so close share one of their eight 32-bit parts
LARGEST_GROUP = 500  # codes of one part compared with each other; more are of no picture


class Fault(NamedTuple):
    """Something wrong. `file` is the shard's name, `record` its number there, None: the file."""

    file: str
    record: int | None
    reason: str


def open_store(path: str) -> sqlite3.Connection:
    """A new file with empty tables; it is scratch, so nothing waits for the disk."""
    store = sqlite3.connect(path)
    store.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;" + _TABLES)
    return store


def add_facts(store: sqlite3.Connection, rows: Iterable[tuple]) -> None:
    """Adds rows of (split, file, record, offset, length, *facts)."""
    store.executemany(f"INSERT INTO records VALUES ({', '.join('?' * len(COLUMNS))})", rows)


def add_faults(store: sqlite3.Connection, faults: Iterable[Fault]) -> None:
    """Adds rows to the list of faults."""
    store.executemany("INSERT INTO faults VALUES (?, ?, ?)", faults)


def join(store: sqlite3.Connection, path: str) -> None:
    """Adds all that another file holds."""
    store.commit()
    store.execute("ATTACH ? AS part", (path,))
    for table in ("records", "faults"):
        store.execute(f"INSERT INTO {table} SELECT * FROM part.{table}")
    store.commit()
    store.execute("DETACH part")


def all_faults(store: sqlite3.Connection) -> Iterator[Fault]:
    """All faults; those of the data set first, then shard after shard, in order of records."""
    query = "SELECT * FROM faults ORDER BY file != ?, file, record IS NOT NULL, record, rowid"
    return map(Fault._make, store.execute(query, (dataset_info.INFO_FILE,)))


def count(store: sqlite3.Connection, table: str, where: str = "1", *values) -> int:
    """How many rows of a table meet a condition; `values` are those of its question marks."""
    return store.execute(f"SELECT COUNT(*) FROM {table} WHERE {where}", values).fetchone()[0]


def repeated_ids(store: sqlite3.Connection) -> Iterator[Fault]:
    """Every record whose image/id an earlier one has."""
    query = """
        SELECT file, record, image_id, LAG(image_id) OVER w, FIRST_VALUE(file) OVER w,
               FIRST_VALUE(record) OVER w
        FROM records WINDOW w AS (PARTITION BY image_id ORDER BY rowid)"""
    for file, record, image_id, earlier, first_file, first_record in store.execute(query):
        if earlier is not None:
            reason = f"image/id {image_id!r} is also that of record {first_record} of {first_file}"
            yield Fault(file, record, reason)


def across_splits(store: sqlite3.Connection) -> Iterator[Fault]:
    """Every record whose picture, by its pixels, is in another split as well; the keeper's not."""
    rank = " ".join(f"WHEN '{split}' THEN {place}" for place, split in enumerate(KEEPERS))
    query = f"""
        SELECT file, record, image_id, split, FIRST_VALUE(split) OVER w,
               FIRST_VALUE(file) OVER w, FIRST_VALUE(record) OVER w
        FROM records
        WINDOW w AS (PARTITION BY digest
                     ORDER BY CASE split {rank} ELSE {len(KEEPERS)} END, split, rowid)"""
    for file, record, image_id, split, keeper, keeper_file, keeper_record in store.execute(query):
        if split != keeper:
            yield Fault(
                file,
                record,
                f"{image_id!r} is the same picture as record {keeper_record} of {keeper_file}, in "
                f"split {keeper!r}",
            )


class Near(NamedTuple):
    """Two pictures of different splits that are nearly the same; rowids in `records`."""

    first: int
    second: int
    bits: int  # of 255 in which their codes differ


def nearly_across_splits(store: sqlite3.Connection) -> list[Near]:
    """Pairs whose perceptual codes differ in at most NEAR_BITS, and whose pixels differ.

    Codes are grouped by each of their eight parts in turn, so that only codes that share a part
    meet; SQLite sorts them outside of memory.
    """
    found = {}
    for part in range(8):
        query = f"""
            SELECT substr(code, {4 * part + 1}, 4) AS part, code, split, digest, rowid
            FROM records WHERE length(code) = 32 ORDER BY part"""
        for _, group in itertools.groupby(store.execute(query), key=lambda row: row[0]):
            for near in _near_pairs(list(group)):
                found[near.first, near.second] = near
    return sorted(found.values(), key=lambda near: (near.bits, near.first, near.second))


def _near_pairs(group):
    if len({row[2] for row in group}) < 2 or len(group) > LARGEST_GROUP:
        return
    codes = np.stack([np.frombuffer(row[1], np.uint64) for row in group])
    distances = perceptual_hash.hamming(codes, codes)
    for i, j in zip(*np.nonzero(np.triu(distances <= NEAR_BITS, 1)), strict=True):
        a, b = sorted((group[i], group[j]), key=lambda row: row[4])
        if a[2] != b[2] and a[3] != b[3]:
            yield Near(a[4], b[4], int(distances[i, j]))


def against_sidecar(store: sqlite3.Connection, info: dataset_info.DatasetInfo) -> Iterator[Fault]:
    """Counts and sizes that the sidecar claims and the records do not bear out.

    Only for splits without other faults: a record that cannot be read counts for nothing.
    """
    clean = True
    for name, split in info.splits.items():
        files = [shard.file for shard in split.shards]
        marks = ", ".join("?" * len(files))
        if any(count(store, "faults", "file = ?", file) for file in files):
            clean = False
            continue
        query = f"""
            SELECT COUNT(*), TOTAL(has_map), TOTAL(participants > 1), COUNT(DISTINCT label)
            FROM records WHERE file IN ({marks})"""
        found = store.execute(query, files).fetchone()
        fields = ("examples", "with_clickmap", "with_participants", "classes")
        for field, got in zip(fields, found, strict=True):
            if int(got) != getattr(split, field):
                claim = f"split {name!r}: {field} is {getattr(split, field)}"
                yield Fault(dataset_info.INFO_FILE, None, f"{claim}, its records hold {int(got)}")
    if not clean:
        return
    query = "SELECT MIN(height), MAX(height), MIN(width), MAX(width) FROM records"
    found = store.execute(query).fetchone()
    image = info.image
    claim = (image.min_height, image.max_height, image.min_width, image.max_width)
    if found != claim:
        yield Fault(
            dataset_info.INFO_FILE,
            None,
            f"image (least and greatest height, width) is {claim}, its records hold {found}",
        )
