"""One run: start, warm up, drive, profile, drain, seal."""
