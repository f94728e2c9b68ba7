"""Readers of routing logs: outside text in, checked records out."""
