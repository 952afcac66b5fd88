"""The command line: `python -m simgen COMMAND [overrides]`."""
