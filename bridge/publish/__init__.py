"""Publishes: a judged change → drafted → post, activity and fan-out, in one transaction.

`drafts` renders, stores nothing; `commit_harvest` commits what a poll changes, post by post: `posts` stores
and sends new ones, `edits` what changed in known ones, and `news` makes the activities and tells followers'
servers. `due` comes back for dates and edits whose time has come, `late_pictures` for what was missing, and
`holds` with the owner's word. `profile`, `pins` and `closing` do so for the account itself.
"""
