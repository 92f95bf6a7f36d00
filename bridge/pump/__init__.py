"""Whatever falls due goes one way: claimed → handled, many at once → settled.

`engine` is that way, `patience` and `open_files` say how much may be under way; `progress` tells which job
stands still, by a `clock` that nobody sets.
"""
