"""The command line: one module for each subcommand, and what they share (exits, screen, files)."""
