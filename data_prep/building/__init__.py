"""Making a data set; killed at any moment, the same command goes on.

flags.py       what the user may choose, and which of it decides the bytes
build.py       one build, from flags to a data set: list, plan, make the missing shards, publish
plan.py        which image goes to which shard, on disk before an image is read
staging.py     the directory below --output_dir where a build keeps what is finished
runners.py     who makes shards: this process, several, Apache Beam
shards.py      one shard of the plan -> a TFRecord file and a row for each record
encoding.py    one example -> one record; the digest by which a picture is known
duplicates.py  the same picture in two splits
finish.py      repeated pictures out, shards to their place, the data set described
summary.py     what was built and left out
dry_run.py     everything looked at and named, nothing written
"""
