"""Shifts, breaks, meetings, queue hours and holidays: rules on the wall clock, and what they are in milliseconds."""
