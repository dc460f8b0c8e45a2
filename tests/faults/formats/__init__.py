"""Writers of the published formats, each as its original writer did; nothing of this project."""
