"""Figure 4: where networks look, drawn.

networks         answers, attention and gradients of runs on some images
image_folder     a folder of images, for 4B
pictures         the two pictures, from arrays
draw             both brought together, a PNG written
"""
