"""How far participants agree: what `data_prep.reliability` computes and draws.

maps.py        single participants' maps out of shards: sampled, blurred, cut
estimators.py  pairs of maps -> value, interval, null and p
results.py     table, figure, the ceiling in dataset_info.json
"""
