"""What `data_prep.verify` looks at, and what it draws.

record_checks.py       one record: facts and faults; with image_checks.py and map_checks.py
shard_checks.py        one shard, read once, in a process of its own
findings.py            what was found, in SQLite; faults that take two records to see
alignment.py           do the maps lie on their images?
dataset_statistics.py  the numbers, beside the paper's
statistics_page.py     their page and figure
sheet_choice.py        which records the contact sheets show
contact_sheet.py       the sheets themselves
report.py              all files written, and what is printed
dataset_checks.py     a whole data set verified: every shard, then what no single record shows, the
"""
