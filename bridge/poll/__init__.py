"""Polls: a source that is due → its bytes or files → entries → what changed → committed.

`poller` claims and settles; `reading` turns bytes and files into entries (`fingerprint` says when that can be
left out); `harvest` judges them against the store and renders what is new. `missing_pages` asks after entries
that vanished, `hubs` after what is pushed (WebSub), and `shares` keeps one host from holding all slots.
"""
