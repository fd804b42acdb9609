"""The commands of `relay`, one folder or module each; `commands.py` has their arguments."""
