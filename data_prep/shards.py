"""Records, as they come, -> shuffled shards of even size.

The number of a record in its split decides its shard (dealt like cards, so that a source that
yields class after class still puts every class in every shard), and its name and the seed decide
its place there. Neither depends on timing, so the same source gives the same bytes.
"""

import os
import struct

from data_prep import splits
from gala_tf import records

_BUCKET_ENTRY = struct.Struct("<32sQ")  # rank, a SHA-256; bytes of the record that follows
FLUSH_BYTES = 256 * 2**20  # kept in memory before buckets are written to disk


class ShardWriter:
    """Collects the records of one split in buckets, one for each shard to be.

    Args:
      directory: local, exists; holds the buckets, then the finished shards.
      count: shards wanted; a split of fewer records gets as many shards as records.
      seed: of the order within a shard.
    """

    def __init__(self, directory: str, split: str, count: int, seed: int):
        self._directory, self._split, self._seed = directory, split, seed
        self._buckets: list[list[tuple[bytes, bytes]]] = [[] for _ in range(count)]
        self._pending_bytes = 0
        self.examples = 0

    def add(self, name: str, serialized: bytes) -> None:
        bucket = self._buckets[self.examples % len(self._buckets)]
        bucket.append((splits.seeded_rank(name, self._seed), serialized))
        self.examples += 1
        self._pending_bytes += len(serialized)
        if self._pending_bytes > FLUSH_BYTES:
            self._flush()

    def _bucket_path(self, index: int) -> str:
        return os.path.join(self._directory, f"{self._split}-{index:05d}.bucket")

    def _flush(self) -> None:
        # Opened to append and closed again: a thousand files open at once exceed common limits.
        for index, bucket in enumerate(self._buckets):
            if bucket:
                with open(self._bucket_path(index), "ab") as file:
                    for rank, serialized in bucket:
                        file.write(_BUCKET_ENTRY.pack(rank, len(serialized)) + serialized)
                bucket.clear()
        self._pending_bytes = 0

    def finish(self) -> tuple[records.Shard, ...]:
        """Writes the shards into `directory`, and removes the buckets."""
        count = min(len(self._buckets), self.examples)
        shards = []
        for index in range(count):
            items, path = list(self._buckets[index]), self._bucket_path(index)
            if os.path.exists(path):
                with open(path, "rb") as file:
                    while header := file.read(_BUCKET_ENTRY.size):
                        rank, length = _BUCKET_ENTRY.unpack(header)
                        items.append((rank, file.read(length)))
                os.remove(path)
            items.sort(key=lambda item: item[0])
            name = records.shard_name(self._split, index, count)
            shards.append(
                records.write_shard(
                    os.path.join(self._directory, name), (serialized for _, serialized in items)
                )
            )
            self._buckets[index].clear()
        return tuple(shards)
