"""Who we are: config → what was fixed at the first run (`establish`) → the keys we sign with (`keyring`).

`witness` remembers it outside the database too.
"""
