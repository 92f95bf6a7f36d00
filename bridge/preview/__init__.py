"""How other servers show a note: what each makes of it (`timelines`), as a page to look at (`page`)."""
