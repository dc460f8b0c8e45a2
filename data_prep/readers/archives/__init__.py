"""Files inside archives, read by position.

tar_index.py  where each entry of a tar lies, also in tars inside a tar
zip_files.py  where each member of a zip lies, and one read from the middle
npz_files.py  arrays of an NPZ file: sizes checked before anything is inflated
mat_files.py  SALICON's MAT files: the points of each observer
"""
