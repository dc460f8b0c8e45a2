"""ClickMe's raw clicks in every published form.

click_files.py   CSV files of clicks, in all their text forms
click_npz.py     NPZ files of clicks, read in pieces
click_frames.py  the file's frame and the game's 256x256 canvas
click_table.py   submissions grouped by image and filtered, in a database on disk
"""
