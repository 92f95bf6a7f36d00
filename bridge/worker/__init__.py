"""The worker: a tick → a pump → what is due is done [the only home of APScheduler].

`jobs` says which pump ticks when, `housekeeping` forgets what nobody needs, `watchdog` and `timekeeper` watch
over the rest.
"""
