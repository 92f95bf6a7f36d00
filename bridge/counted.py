"""How many of something, in words whose plural is right."""


def counted(number: int, one: str, many: str = "") -> str:
    """Return “1 post”, “2 posts”, “1,000 posts”; `many` where the plural is more than an s."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"
