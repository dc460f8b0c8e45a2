"""Maps of one source on the images of another: by name, or by the pictures themselves."""
