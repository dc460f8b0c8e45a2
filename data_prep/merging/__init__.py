"""Maps of one source on the images of another: by name, or by the pictures.

merge.py            two sources as one
pair.py             their lists, pictures and labels
by_content.py       joins maps to images by their pictures
content_join.py     which image a map was made from, decided by hashes
perceptual_hash.py  the same picture known again after resizing, cropping, compression
source_hashes.py    the hashes of a whole source, in parallel and kept
map_frames.py       a map of a part of an image, laid back into the image's frame
match_report.py     what was not joined for certain: a table and a contact sheet
"""
