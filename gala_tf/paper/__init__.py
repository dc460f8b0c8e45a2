"""The paper's rows, tables and figures: published numbers, sweeps, report, Figure 4."""
