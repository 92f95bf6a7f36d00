"""Where writing comes from: feeds and folders of Markdown become entries.

No module here opens a connection, and only `folders.folder` touches the disk.
"""
