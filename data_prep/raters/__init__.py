"""How far participants agree: what `data_prep.reliability` computes and draws.

maps.py        single participants' maps out of shards: sampled, blurred, cut
estimators.py  pairs of maps -> value, interval, null and p
results.py     table, figure, the ceiling in dataset_info.json
flags.py      the flags of `data_prep.reliability`
measure.py    estimators applied to the maps of one data set, or of two that hold the same images
report.py     the whole measurement: flags checked, maps compared, results and figure written
"""
