"""What `data_prep.verify` looks at, and what it draws.

shard_checks.py        one shard, read once from first byte to last
record_checks.py       one record against the schema and the sidecar
findings.py            what the records hold, in a temporary database
alignment.py           do the maps lie on their images?
dataset_statistics.py  the numbers, beside those the paper prints
sheet_choice.py        which records the contact sheets show
contact_sheet.py       image, map and overlay side by side
report.py              faults.csv, contact sheets, statistics, a table
"""
