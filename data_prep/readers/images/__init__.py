"""Image files as they lie on disk.

image_files.py   by what endings images are found; those that a list names, checked and read
float_images.py  images stored as floats, whose range nobody wrote down
map_files.py    maps that lie beside images: grey image files and NPY arrays
"""
