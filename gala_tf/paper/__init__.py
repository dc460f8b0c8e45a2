"""The paper's rows, tables and figures.

published.py  the paper's numbers, from published.json
rows.py       the networks the tables compare, and the flags that make each
job_queue.py  runs side by side, each on a device of its own
report/       the page: ours beside the published numbers
figure4/      where networks look, drawn
"""
