"""A network over a split, once: predictions, scores, significance, plots."""
