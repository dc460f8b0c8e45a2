"""What a network is worth on a split: errors, and agreement of its maps with people's.

evaluator        the one evaluator: a strategy, a reader and a protocol -> Predictions
readers          what a network answers and where it looks: ours, or any Keras classifier
protocols        what it is shown, and how its maps meet people's: the paper's, Harmonization's
answers          classes, ranks, entropies of class scores
evaluate_run     a run's best or newest weights: numbers, files, pictures
classifiers      a saved Keras file, as a `request` asks
scores           numbers, ceilings, the table;  harmonization: the other work's scores
per_image        one row an image, as CSV;  significance, plots: what follows from it
predicting       anyone's pictures, without a data set: class, confidence, attention drawn
curves, confusion    pictures of a run: what it learnt by step, which classes it takes for which
naming           what networks and files are called
breakdowns.py    numbers by image, of one run or of several: error by class, calibration, accuracy
"""
