"""Where writing comes from: feeds and Markdown folders become entries, their HTML becomes what servers keep.

No module here opens a connection, and only `folder` touches the disk. `html` is the door to everything about
markup: sanitising, absolute links, note HTML, excerpts.
"""
