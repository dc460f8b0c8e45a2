"""Pictures of images and maps.

panels           one square: an image, a map over it, colours, texts
attention_grid   a row an image: image, human map, layers' maps
"""
