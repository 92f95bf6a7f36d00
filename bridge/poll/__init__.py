"""Polls: a source that is due → asked → what it holds → what that changes → committed.

`poller` leads the way. A feed's address is asked by `asking`; a folder is watched between polls
(`folder_watch`). `reading` turns bytes and files into entries (`fingerprint` says when that can be left out),
`harvest` sets them against the store and drafts what is new, and `pace` says when the source is due again.
`missing_pages` asks after entries that vanished, `hubs` after what is pushed (WebSub), and `shares` keeps one
host from holding all slots.
"""
