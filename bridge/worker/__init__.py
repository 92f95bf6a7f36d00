"""The worker: which pump ticks when, and what watches over it [the only home of APScheduler]."""
