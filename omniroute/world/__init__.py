"""Worlds: columns in, the same core, columns out."""
