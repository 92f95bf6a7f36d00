"""HTML, in and out: what authors wrote becomes what servers keep. Pure.

`html` is the door: sanitising, absolute links, note HTML, excerpts.
"""
