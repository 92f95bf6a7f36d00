"""Who we are: fixed at the first run, remembered outside the database too, and the keys we sign with."""
