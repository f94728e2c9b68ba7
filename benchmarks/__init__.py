"""Measurements: omniroute beside its peers, answers checked before times are printed."""
