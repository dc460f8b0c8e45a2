"""A network over a split, once: answers, scores, significance, plots.

scores.py         errors, map scores with ceilings and baselines, the table
per_image.py      a row an image, as CSV
significance.py   paired tests and intervals
plots.py          error by class, calibration, accuracy against map score
protocols.py      the two published ways to score maps, each under its name
harmonization.py  Fel et al. 2022: Spearman at 224x224, Dice and IoU
classifiers.py    any saved Keras classifier
"""
