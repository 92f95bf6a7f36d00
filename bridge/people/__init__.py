"""Other people: an address → their document, fetched within a `budget` → who they are (`fetch`).

`mentions` finds out so whom a post names.
"""
