"""Making a data set; killed at any moment, the same command goes on.

flags.py       what the user may choose, and which of it decides the bytes
plan.py        which image goes to which shard, on disk before an image is read
encoding.py    one example -> one record; the digest by which a picture is known
shards.py      one shard of the plan -> a TFRecord file and a row for each record
runners.py     who makes shards: this process, several, Apache Beam
duplicates.py  the same picture in two splits
publishing.py  finished shards -> their place
summary.py     what was built and left out
left_out_report.py  all that was left out, by reason: the file beside the shards
dry_run.py     everything looked at and named, nothing written
build.py      one build, from flags to a data set: list, plan, make the missing shards, publish
checks.py     errors of a build's flags that need no data
finish.py     the end of a build: repeated pictures out, shards to their place, the data set descri
staging.py    the staging directory below --output_dir, where a build keeps what is finished
"""
