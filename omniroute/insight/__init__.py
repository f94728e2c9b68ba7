"""What is seen of a router: metrics with their formulas, figures and logs for monitoring, a board for a screen."""
