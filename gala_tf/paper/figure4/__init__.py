"""Figure 4: where networks look, drawn.

networks.py  answers, attention and gradients of trained networks on some images
pictures.py  the two pictures, from arrays
draw.py      from run directories to a PNG
"""
