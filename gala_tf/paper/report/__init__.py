"""The report page: runs -> lines, tests, tables, figures -> Markdown and HTML.

build.py       the page from the first run read to the last file written
runs.py        reads what runs left behind
lines.py       which runs stand together: those of a line, and the lines of a section
numbers.py     means and intervals over seeds, paired tests
tables.py      ours beside the published numbers, each with n and interval
figures.py     the plots and their captions
contents.py    what the page says of one data set, top to bottom
by_image.py    what it says image by image: classes, calibration, map scores
provenance.py  where the numbers are from: runs, flags, versions, time
page.py        a list of blocks as Markdown and as one HTML file, by templates/
"""
