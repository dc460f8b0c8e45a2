"""The report page: runs -> lines, tests, tables, figures -> Markdown and HTML.

runs.py        reads what runs left behind
lines.py       which row of a table a run belongs to, and which runs repeat one another
sections.py    which runs stand together: a data set and split each
numbers.py     means and intervals over seeds, paired tests
tables.py      ours beside the published numbers, each with n and interval
figures.py     the plots, as PNG bytes
provenance.py  where the numbers are from: runs, flags, versions, time
contents.py    what the page says of one data set, top to bottom
words.py       the sentences that are always the same
page.py        a list of blocks as Markdown and as one HTML file
"""
