"""One module a command: its options, the one call, what is printed and the exit code."""
