"""Every address that the bridge answers at, found by asking what mints them."""

import inspect

from bridge.activitypub.ids import Ids

# What an argument of a method that mints may be.
EXAMPLES = {
    "site": "cafe",
    "post_id": "loxujdqycich3kxk",
    "activity_id": "create-x",
    "authorization_id": "x",
    "collection": "/ap/cafe/outbox",
    "number": 1,
    "user": "cafe",
    "name": "x",
    "path": "source/a.png",
    "token": "x",
}
NOT_MINTING = {"parts", "host", "instance_user", "base_url", "rsa_key", "ed25519_key"}


def minted() -> dict[str, str]:
    """Every address that `Ids` can mint, by the name of what mints it."""
    ids, found = Ids(""), {}
    for name, member in vars(Ids).items():
        if name.startswith("_") or name in NOT_MINTING:
            continue
        if isinstance(member, property):
            found[name] = getattr(ids, name)
        elif inspect.isfunction(member):
            wanted = list(inspect.signature(member).parameters)[1:]
            found[name] = member(ids, **{argument: EXAMPLES[argument] for argument in wanted})
    return found
