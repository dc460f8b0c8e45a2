"""Sentences of a report that are always the same: what its numbers mean, and what they do not."""

INTERVALS = (
    "Brackets are 95 % intervals. With two seeds or more: Student's t over seeds, which speaks of "
    "networks not yet trained; those of errors end at 0 and 100 %. With one seed there is no "
    "such interval, and brackets are over images instead: Wilson's for errors; for maps a "
    "bootstrap, or, where a run has no per_image file, the normal interval of the standard error. "
    "Intervals of map scores take the human ceiling as known."
)
TESTS = (
    "Two-sided paired tests over images against the network in the second column, as the paper's "
    "stars (p < 0.01, *). Differences are the network minus the one compared with. Permutation: "
    "each image's value averaged over seeds, then 10,000 random sign flips of the differences. "
    "McNemar: exact, for each seed that both have. These speak of other images for these trained "
    "networks; the differences over pairs of seeds speak of other seeds. p are not corrected for "
    "their number"
)
SIMULATED = (
    "The built-in data set is a miniature: its human maps are simulated from the true figure, and "
    "its design was tuned for a task that such maps help with. Its numbers show that the mechanism "
    "works from end to end. They do not show that human attention helps, and they neither "
    "reproduce nor contradict the published ones, which stand beside them for their order alone."
)
OTHER_DATA = (
    "The published numbers are of other data than this section's, and of networks of full size: "
    "compare the order of rows and the direction of differences, not the values."
)

# --------------------------------------------------------------------------- captions

LAYERS = (
    "Map scores by layer. GALA: its attention; SE: gated activity; ResNet: activity of the same "
    "units. Means with 95 % intervals over seeds (one seed: over images)."
)
FIGURE_7 = (
    "Figure 7. Left: top-1 accuracy. Right: map score of the final layer. Means with 95 % "
    "intervals over seeds (one seed: over images; n in the table below), faint dots single runs. "
    "Dashed: ResNet-50, its interval shaded. Dotted: the null, two participants of two different "
    "images; where no image has two, the networks' maps against other images' human maps."
)
CLASSES = (
    "Top-1 error by class. Hardest first, by the mean over networks; bars are 95 % intervals over "
    "seeds (one seed: over images)."
)
CALIBRATION = (
    "Calibration. Accuracy against confidence in 15 bins, images of all seeds together; a disc's "
    "area is its share of the images. ECE: expected calibration error, mean over seeds."
)
ACCURACY_AND_MAPS = (
    "Accuracy against map score. Left: each run. Right: images sorted by their final layer's map "
    "score, in fifths; accuracy with 95 % intervals over seeds (one seed: over images)."
)
