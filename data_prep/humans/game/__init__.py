"""The ClickMe game (Linsley et al. 2019, sections 2 and 2.1): people paint, a network looks.

rules          brush, score, view: pure
partners/      networks that look through the bubbles, and the queue in front of them
rounds         the life of a round
allocation     who gets which picture
api, pages/    what a browser asks, and what it shows
contests       spans of time with a ranking
calibrate      how hard the game is, with simulated painters
simulate       whole players, through the real interface
quality        how honest play looks; statistics: ours beside the paper's; replay: asks again
exports        rounds as `data_prep` reads them
"""
