"""Publishes: a judged change → post, activity and fan-out, in one transaction.

`posts` stores and sends; `due` comes back for dates and edits whose time has come, `late_pictures` for what
was missing, `holds` with the owner's word. `profile`, `pins` and `closing` do so for the account itself.
"""
