"""From clicks, boxes and fixations to maps, in the geometry of the image.

geometry.py    one frame for an image and its maps
rasterise.py   bubbles and boxes as counts: how many cover each pixel
count_maps.py  maps from files and arrays: read, checked, fitted to their image
"""
