"""Our word that quotes and listings are welcome: asked for, given, checked by others and taken back."""

from collections.abc import Iterator

import pytest
from fake_peer import GOTOSOCIAL, MASTODON, Document, Person, Software
from lab import BAKERY, CAFE, INBOX, SHARED_INBOX, Lab


@pytest.fixture
def lab(make_services, clock) -> Iterator[Lab]:
    with Lab(make_services, clock, more=BAKERY) as lab:
        yield lab


def accepts(person: Person) -> list[Document]:
    return [knock.activity for knock in person.peer.received if knock.activity["type"] == "Accept"]


def ask_to_quote(lab: Lab, person: Person) -> tuple[str, str, Document]:
    """Let someone quote a new post; return the post, the quote and our answer."""
    post, quote = lab.uri(lab.publish()), f"{person.id}/statuses/1"
    assert person.send(person.quote_request(post, quote), INBOX) == 202
    lab.work()
    return post, quote, accepts(person)[-1]


def ask_to_list(lab: Lab, person: Person, target: str = CAFE, number: int = 1) -> tuple[Document, Document]:
    """Let someone list a site; return their request and our answer."""
    request = person.feature_request(target, collection_of(person, number))
    assert person.send(request, SHARED_INBOX) == 202
    lab.work()
    return request, accepts(person)[-1]


def collection_of(person: Person, number: int = 1) -> str:
    return f"{person.id}/collections/{number}"


def test_a_quote_is_welcomed_with_a_stamp_that_anyone_can_check(lab: Lab) -> None:
    alice = lab.peer().person()
    post, quote, accept = ask_to_quote(lab, alice)
    assert (accept["object"]["type"], accept["object"]["instrument"]) == ("QuoteRequest", quote)
    status, stamp = lab.bridge.get(accept["result"])
    assert status == 200
    assert stamp["type"] == "QuoteAuthorization"
    assert (stamp["interactingObject"], stamp["interactionTarget"]) == (quote, post)
    alice.send(alice.delete({"id": quote}), INBOX)
    lab.receive()
    assert lab.bridge.get(accept["result"])[0] == 404


@pytest.mark.parametrize("software", [MASTODON, GOTOSOCIAL], ids=lambda kind: kind.name)
def test_a_listing_is_welcomed_with_a_stamp_that_anyone_can_check(lab: Lab, software: Software) -> None:
    alice = lab.peer(software=software).person()
    request, accept = ask_to_list(lab, alice)
    # What Mastodon looks for: the request's bare id, and a stamp on the host of the actor it is for.
    assert (accept["actor"], accept["to"], accept["object"]) == (CAFE, [alice.id], request["id"])
    status, stamp = lab.bridge.get(accept["result"])
    assert status == 200
    assert stamp["id"] == accept["result"]
    assert stamp["type"] == "FeatureAuthorization"
    assert (stamp["interactingObject"], stamp["interactionTarget"]) == (collection_of(alice), CAFE)


def test_a_listing_asked_for_with_a_key_we_hold_is_welcomed(lab: Lab) -> None:
    alice = lab.peer().person()
    lab.follow(alice)
    request, accept = ask_to_list(lab, alice)
    assert accept["object"] == request["id"]
    assert [row["actor_id"] for row in lab.interactions()] == [alice.id]


def test_a_request_that_names_its_actor_is_as_good(lab: Lab) -> None:
    alice = lab.peer().person()
    request = alice.feature_request(CAFE, collection_of(alice)) | {"actor": alice.id}
    assert alice.send(request, INBOX) == 202
    lab.work()
    assert accepts(alice)[0]["object"] == request["id"]


def test_one_collection_may_list_several_sites_and_one_site_be_in_several(lab: Lab) -> None:
    alice = lab.peer().person()
    bakery = CAFE.replace("cafe", "bakery")
    answers = [ask_to_list(lab, alice, target, number)[1] for target, number in
               ((CAFE, 1), (bakery, 1), (CAFE, 2))]  # fmt: skip
    stamps = [lab.bridge.get(answer["result"])[1] for answer in answers]
    assert [(stamp["interactingObject"], stamp["interactionTarget"]) for stamp in stamps] == [
        (collection_of(alice, 1), CAFE),
        (collection_of(alice, 1), bakery),
        (collection_of(alice, 2), CAFE),
    ]


def test_the_same_request_twice_is_one_listing_and_one_answer(lab: Lab) -> None:
    alice = lab.peer().person()
    request, _ = ask_to_list(lab, alice)
    lab.wait(minutes=1)
    assert alice.send(request, INBOX) == 202
    lab.work()
    assert len(accepts(alice)) == len(lab.interactions()) == 1


def test_a_new_request_for_the_same_collection_is_answered_under_its_own_id(lab: Lab) -> None:
    alice = lab.peer().person()
    (_, first), (request, second) = ask_to_list(lab, alice), ask_to_list(lab, alice)
    assert second["object"] == request["id"]
    assert second["id"] != first["id"]
    assert second["result"] == first["result"]
    assert len(lab.interactions()) == 1


TAKEN_BACK = {
    "the collection is deleted": lambda alice, request: alice.delete({"id": request["instrument"]}),
    "the collection is removed": lambda alice, request: alice.remove(
        request["instrument"], f"{alice.id}/featured_collections"
    ),
    "the request is undone": lambda alice, request: alice.undo(request),
    "the request is undone by its id": lambda alice, request: alice.undo(request, by_id=True),
    "the account is deleted": lambda alice, _: alice.delete(alice.id),
}


@pytest.mark.parametrize("how", TAKEN_BACK.values(), ids=TAKEN_BACK.keys())
def test_a_stamp_is_void_once(lab: Lab, how) -> None:
    alice = lab.peer().person()
    request, accept = ask_to_list(lab, alice)
    assert alice.send(how(alice, request), INBOX) == 202
    lab.work()
    assert lab.interactions() == []
    assert lab.bridge.get(accept["result"])[0] == 404


@pytest.mark.parametrize("how", TAKEN_BACK.values(), ids=TAKEN_BACK.keys())
def test_nobody_else_can_take_a_listing_back(lab: Lab, how) -> None:
    peer = lab.peer()
    alice, mallory = peer.person("alice"), peer.person("mallory")
    request, accept = ask_to_list(lab, alice)
    mallory.send(how(mallory, request), INBOX)
    lab.work()
    assert lab.bridge.get(accept["result"])[0] == 200


@pytest.mark.parametrize("by_id", [False, True])
def test_a_request_undone_before_it_came_is_not_answered(lab: Lab, by_id: bool) -> None:
    alice = lab.peer().person()
    request = alice.feature_request(CAFE, collection_of(alice))
    for activity in (alice.undo(request, by_id=by_id), request):
        assert alice.send(activity, INBOX) == 202
        lab.work()
    assert lab.interactions() == []
    assert accepts(alice) == []


def test_a_collection_on_another_server_is_not_theirs_to_ask_for(lab: Lab) -> None:
    alice = lab.peer().person()
    elsewhere = lab.peer("pixelfed.example").person()
    alice.send(alice.feature_request(CAFE, collection_of(elsewhere)), INBOX)
    lab.work()
    assert lab.interactions() == []
    assert accepts(alice) == []


def test_a_request_signed_with_a_key_of_another_server_is_refused(lab: Lab) -> None:
    alice = lab.peer().person()
    elsewhere = lab.peer("pixelfed.example").person()
    assert elsewhere.send(alice.feature_request(CAFE, collection_of(alice)), INBOX) == 401
    lab.work()
    assert lab.arrivals() == lab.interactions() == []


def test_a_removal_by_a_stranger_is_not_worth_fetching_a_key(lab: Lab) -> None:
    alice = lab.peer().person()
    assert alice.send(alice.remove(f"{alice.id}/statuses/1", f"{alice.id}/featured"), INBOX) == 202
    lab.work()
    assert lab.arrivals() == []
    assert alice.peer.gets == []


@pytest.mark.parametrize("kind", ["QuoteRequest", "FeatureRequest"])
def test_a_request_waits_while_its_actor_cannot_be_reached(lab: Lab, kind: str) -> None:
    """Their key may be cached, and nothing else: without the actor there is no inbox to answer to."""
    alice = lab.peer().person()
    post = lab.uri(lab.publish())
    alice.send(alice.like("https://pixelfed.example/p/1"), INBOX)
    lab.work()
    asked = {"QuoteRequest": alice.quote_request(post, f"{alice.id}/statuses/1"),
             "FeatureRequest": alice.feature_request(CAFE, collection_of(alice))}  # fmt: skip
    alice.status = 503
    assert alice.send(asked[kind], INBOX) == 202
    lab.work()
    assert accepts(alice) == []
    alice.status = 200
    lab.wait(minutes=30)
    lab.work()
    assert len(accepts(alice)) == 1, lab.arrivals()
