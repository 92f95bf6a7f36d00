"""The engine under everything that falls due, and how much of it may be under way at once."""
