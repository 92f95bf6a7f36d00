"""People whom a post mentions are found, linked and told, where the owner asked for it."""

import pytest
from lab import Lab


@pytest.mark.parametrize("asked", [True, False])
def test_whoever_a_post_mentions_is_told_only_if_the_owner_asked_for_it(
    make_services, clock, asked: bool
) -> None:
    site = "mentions = true\n" if asked else ""
    with Lab(make_services, clock, site=site) as lab:
        lab.poll()
        alice = lab.peer().person()
        handle = f"@{alice.user}@{alice.peer.netloc}"
        lab.publish("Thanks", f"Thanks to {handle} and @nobody@{alice.peer.netloc} for the cups.")
        lab.deliver()
        note = lab.newest().note
        mentions = [tag for tag in note["tag"] if tag["type"] == "Mention"]
        assert [tag["href"] for tag in mentions] == ([alice.id] if asked else [])
        assert (alice.id in note["cc"]) is asked
        assert alice.peer.types == (["Create"] if asked else [])
