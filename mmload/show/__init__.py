"""What people and other programs read: pure drawings of summaries and verdicts. rich is imported by its users only."""
