"""One module per way in which labelled images are stored; every reader gives the same `LabelledImage`."""
