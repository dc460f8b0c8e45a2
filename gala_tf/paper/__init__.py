"""The paper's rows, tables and figures.

published.py  the networks the tables compare, the flags that make each; the paper's numbers
sweeps.py     rows and values of lambda, several seeds each: what to run, skip, resume
job_queue.py  runs side by side, each on a device of its own
report/       the page: ours beside the published numbers
figure4/      where networks look, drawn
"""
