"""The integer core: skills, eligibility, capacity, ranks, life cycles, deadlines."""
