"""Patches: parsing both formats, finding the places of hunks, applying them."""
