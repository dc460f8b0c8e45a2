"""The steps from an empty database to today's, in order.

0001_first          people, pictures, rounds
0002_psychophysics  stimuli, lists, trials
"""
