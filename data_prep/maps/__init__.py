"""From clicks, boxes and fixations to maps: counts, rasterised, in the geometry of the image."""
