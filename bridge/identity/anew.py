"""May config.toml make us someone else? Only where nobody knows who we were: servers never forget."""

from bridge.addresses import read_address, take_apart
from bridge.counted import counted
from bridge.store.anew import AtStake


def is_on_loopback(base_url: str) -> bool:
    """Say whether a base URL means each machine itself (RFC 6761 §6.3): nobody elsewhere knows it."""
    host = take_apart(base_url).host.rstrip(".")
    address = read_address(host)
    return host == "localhost" or host.endswith(".localhost") or bool(address and address.is_loopback)


def obstacle(base_url: str, stake: AtStake) -> str | None:
    """Say why the identity at `base_url` has to stay, or `None` if it may be replaced.

    What its owner kept back stays kept back: sources are read afresh under the new identity, and what is
    there then counts as written before, which is public.
    """
    if stake.followers and not is_on_loopback(base_url):
        lost = counted(stake.followers, "follower")
        return f"Starting over, with an empty database and data folder, would lose {lost}."
    if stake.heard_of and not is_on_loopback(base_url):
        return "Nobody follows now, but other servers have heard of these accounts."
    if stake.closed:
        return (
            f"{counted(stake.closed, 'account')} of this database was closed for good, which is remembered."
        )
    if stake.kept_back:
        return (
            f"{counted(stake.kept_back, 'post')} that you held, refused or took back would be public again."
        )
    if stake.at_work:
        return "A worker is still at work under the old name: stop it, wait for a minute, and start again."
    return None


def why_not_missed(base_url: str, stake: AtStake) -> str:
    """Say why nobody misses the identity that goes."""
    if not is_on_loopback(base_url):
        return "Nobody followed"
    lost = f" ({counted(stake.followers, 'follower')} on this machine)" if stake.followers else ""
    return f"Nobody elsewhere could know it{lost}"
