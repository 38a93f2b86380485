"""Patches: parsing both formats, locating hunks, applying them."""
