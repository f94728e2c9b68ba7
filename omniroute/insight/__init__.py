"""What a manager sees: metrics with their formulas."""
