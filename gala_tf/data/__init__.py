"""Shards on disk and the batches they become: records, sidecar, geometry, pipelines."""
