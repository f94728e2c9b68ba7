"""Yesterday again: observed facts, a reconstructed plan, and what would have been."""
