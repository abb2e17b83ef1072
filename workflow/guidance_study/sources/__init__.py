"""Files from outside: raw data, weights, folders of images, and the digests that they are known by."""
