"""From clicks, boxes and fixations to count maps.

rasterise.py   bubbles and boxes -> how many of them cover each pixel
count_maps.py  maps that others made: read, checked, fitted to their image
geometry.py    one frame for an image and its maps
"""
