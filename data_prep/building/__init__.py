"""From a source to shards.

flags.py       the flags of `build_tfrecords`; which of them decide the bytes
plan.py        which image goes to which shard, on disk before an image is read
runners.py     who works: this process, several, or an Apache Beam pipeline
encoding.py    one example -> one serialised record, a pure function
shards.py      one shard: its part of the plan -> a file, and what is known of its records
duplicates.py  the same picture in two splits, found by its pixels
publishing.py  finished shards -> a data set; may be killed and started again
summary.py     what was written and left out, counted and said
"""
