"""The one door out: `client` asks, within limits on time, size and redirects.

`resolver`, and the socket at the moment it is dialled, say whom it may reach; `answers` take in so much and
no more; `failures` say whose fault it was when nothing came.
"""
