"""Image files as they lie on disk.

image_files.py   files that a list names: the name checked before it becomes a path
float_images.py  images stored as floats, whose range nobody wrote down
map_files.py    maps that lie beside images, as PNG or NPY files
"""
