"""How far participants agree: what `data_prep.reliability` computes and draws.

maps.py        single participants' maps out of finished shards, sampled by seed
estimators.py  two participants, split halves, leave one out; interval, null and p
results.py     the table, files, the ceiling in a data set
figure.py      per-image correlations beside their null
"""
