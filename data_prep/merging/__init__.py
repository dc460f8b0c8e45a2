"""Maps of one source on the images of another: by name, or by the pictures themselves.

merge.py            the merged source, and the join by name
pair.py             the two sources: lists on disk, pictures, labels
by_content.py       the join by content, in stages
source_hashes.py    perceptual hashes of a whole source, in parallel
perceptual_hash.py  255 bits by which a resized, cropped picture is known again
content_join.py     which image a record was made from, decided by hashes
map_frames.py       a map of a part of an image -> the image's own frame
match_report.py     what was not joined for certain: table and contact sheet
"""
