"""What reaches the follower: believed only when the signature proves who said it."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime

from bridge.activitypub.binding import binding_error
from bridge.activitypub.keys import load_public_key
from bridge.activitypub.parse import Activity, parse_activity, parse_keys
from bridge.activitypub.signatures import SignedRequest, check, parse, verify
from bridge.demo.follower import Follower, Tell
from bridge.demo.me import Me
from bridge.demo.reading import read_account, read_post
from bridge.demo.timeline import Account, Timeline
from bridge.demo.wire import Wire
from bridge.errors import SignatureError
from bridge.model import RemoteKey


class Inbox:
    """Verifies activities and lets them take effect on the timeline."""

    def __init__(
        self,
        me: Me,
        wire: Wire,
        timeline: Timeline,
        follower: Follower,
        tell: Tell,
        now: Callable[[], datetime],
    ) -> None:
        self._me = me
        self._wire = wire
        self._timeline = timeline
        self._follower = follower
        self._tell = tell
        self._now = now
        self._keys: dict[str, RemoteKey] = {}

    def receive(self, request: SignedRequest) -> None:
        """Take an activity in.

        Raises `SignatureError`, `BadKey`, `BadActivity` or `BadDocument` for what is not to be believed.
        """
        claim = parse(request)
        check(request, claim, base_urls=[self._me.base_url], now=self._now())
        activity = parse_activity(request.body)
        key = self._key(claim.key_id)
        verify(request, claim, load_public_key(key.pem), base_urls=[self._me.base_url])
        wrong = binding_error(activity, key.actor_id)
        if wrong:
            raise SignatureError(wrong)
        self._take_effect(activity, key.actor_id)

    def _key(self, key_id: str) -> RemoteKey:
        if key_id not in self._keys:
            document = self._wire.document(key_id)
            found = next((key for key in parse_keys(document) if key.id == key_id), None)
            if found is None or found.actor_id != document.get("id"):
                raise SignatureError(f"{key_id} is not a key that an actor lists as its own.")
            self._keys[key_id] = found
        return self._keys[key_id]

    def _take_effect(self, activity: Activity, sender: str) -> None:
        if activity.type in ("Accept", "Reject"):
            self._follower.hear_answer(activity, sender)
            return
        account = self._timeline.account(sender)
        if account is None or not self._follower.follows(sender):
            return
        match activity.type, activity.object:
            case "Create", dict(note):
                self._arrive(note, account)
            case "Update", dict(changed) if activity.object_id == sender:
                self._timeline.add_account(read_account(changed, url=sender, handle=account.handle))
                self._tell("profile", name=account.name)
            case "Update", dict(note):
                self._edit(note, account)
            case "Delete", _:
                gone = self._timeline.remove(activity.object_id or "", author=sender)
                if gone:
                    self._tell("deleted", title=gone.title)

    def _arrive(self, note: Mapping[str, object], account: Account) -> None:
        post = read_post(note, account)
        if self._timeline.add(post):
            self._tell("arrived", title=post.title)

    def _edit(self, note: Mapping[str, object], account: Account) -> None:
        new = read_post(note, account)
        changed = self._timeline.change(
            new.id,
            lambda old: replace(new, pinned=old.pinned, like=old.like, boost=old.boost, replies=old.replies),
        )
        if changed:
            self._tell("edited", title=new.title)
