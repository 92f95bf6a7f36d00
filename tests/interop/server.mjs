/**
 * Runs one Fedify server on loopback: alice, who follows and is followed, behind real TLS.
 *
 * The tests steer her through the control API (plain HTTP, JSON) that README.md describes. What stands in
 * `state.inbox` was verified and parsed by Fedify; `sent` and `received` are the requests as they crossed the wire.
 */
import { readFileSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import { json } from "node:stream/consumers";
import { parseArgs } from "node:util";

import { createFederation, InProcessMessageQueue, MemoryKvStore } from "@fedify/fedify";
import * as AS from "@fedify/fedify/vocab";
import { Temporal } from "@js-temporal/polyfill";
import { configure, getConsoleSink } from "@logtape/logtape";

import { describeActivity, describeDocument, hrefOf, loadersOf, objectOf, typeOf } from "./describe.mjs";
import { listener, watchOutgoingRequests } from "./wire.mjs";

const ALICE = { identifier: "alice" };
const INSTANCE = { identifier: "instance" }; // signs GETs; its own document never asks for a signature

const { values: settings } = parseArgs({
  options: {
    port: { type: "string" },
    "control-port": { type: "string" },
    cert: { type: "string" },
    key: { type: "string" },
    "first-knock": { type: "string", default: "rfc9421" },
    accepts: { type: "string", default: "both" },
    "authorized-fetch": { type: "boolean", default: false },
    "no-shared-inbox": { type: "boolean", default: false },
  },
});
const origin = `https://localhost:${settings.port}`;

const FIRST_KNOCK = { rfc9421: "rfc9421", cavage: "draft-cavage-http-signatures-12" };

const state = { inbox: [], unverified: [], sent: [], received: [], errors: [] };
const following = new Map(); // actor id → { actor, follow: id, word: pending, accepted or rejected }
const followers = new Map(); // actor id → actor
const activities = new Map(); // id → { activity, recipients }
const notes = new Map(); // id → { note, recipients }
let deletedAt = null;

function noteError(where) {
  return (error) => void state.errors.push(`${where}: ${error.stack ?? error}`);
}

// ── the server ───────────────────────────────────────────────────────────────────────────────────

watchOutgoingRequests(state.sent);

const federation = createFederation({
  kv: new MemoryKvStore(),
  queue: new InProcessMessageQueue(),
  origin,
  allowPrivateAddress: true, // loopback
  firstKnock: FIRST_KNOCK[settings["first-knock"]],
  onOutboxError: noteError("outbox"),
});

async function generateKeyPair(algorithm) {
  return await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
}

async function generateKeyPairs() {
  // 2048 bits: what Mastodon has; Fedify's own generator takes a second for 4096.
  const rsa = {
    name: "RSASSA-PKCS1-v1_5",
    modulusLength: 2048,
    publicExponent: new Uint8Array([1, 0, 1]),
    hash: "SHA-256",
  };
  return await Promise.all([generateKeyPair(rsa), generateKeyPair("Ed25519")]);
}

const keyPairs = { alice: await generateKeyPairs(), instance: await generateKeyPairs() };

async function mayRead(ctx, identifier) {
  if (!settings["authorized-fetch"] || identifier === INSTANCE.identifier) return true;
  const documentLoader = await ctx.getDocumentLoader(INSTANCE);
  return (await ctx.getSignedKeyOwner({ documentLoader })) != null;
}

async function dispatchActor(ctx, identifier) {
  if (!(identifier in keyPairs)) return null;
  const id = ctx.getActorUri(identifier);
  if (deletedAt && identifier === ALICE.identifier) return new AS.Tombstone({ id, deleted: deletedAt });
  const keys = await ctx.getActorKeyPairs(identifier);
  const Kind = identifier === INSTANCE.identifier ? AS.Application : AS.Person;
  return new Kind({
    id,
    preferredUsername: identifier,
    name: identifier === ALICE.identifier ? "Alice of Fedify" : "Fedify instance",
    url: id,
    inbox: ctx.getInboxUri(identifier),
    endpoints: settings["no-shared-inbox"] ? null : new AS.Endpoints({ sharedInbox: ctx.getInboxUri() }),
    followers: ctx.getFollowersUri(identifier),
    publicKey: keys[0].cryptographicKey,
    assertionMethods: keys.map((key) => key.multikey),
  });
}

federation
  .setActorDispatcher("/users/{identifier}", dispatchActor)
  .setKeyPairsDispatcher((_ctx, identifier) => keyPairs[identifier] ?? [])
  .authorize(mayRead);
federation
  .setFollowersDispatcher("/users/{identifier}/followers", () => ({ items: [...followers.values()] }))
  .authorize(mayRead);
federation
  .setObjectDispatcher(
    AS.Note,
    "/notes/{uuid}",
    (ctx, values) => notes.get(ctx.getObjectUri(AS.Note, values).href)?.note ?? null,
  )
  .authorize((ctx) => mayRead(ctx, ALICE.identifier));

// ── her inbox ────────────────────────────────────────────────────────────────────────────────────

async function onFollow(ctx, follow) {
  if (follow.objectId?.href !== ctx.getActorUri(ALICE.identifier).href) return;
  const follower = await follow.getActor(ctx);
  followers.set(follower.id.href, follower);
  await send([follower], new AS.Accept({ id: mint(ctx, "accepts"), actor: follow.objectId, object: follow }));
}

async function onUndo(ctx, undo) {
  const undone = await objectOf(ctx, undo);
  if (undone instanceof AS.Follow) followers.delete(undo.actorId.href);
}

function onAnswer(word) {
  return async (ctx, answer) => {
    const follow = await objectOf(ctx, answer);
    const asked = following.get(answer.actorId?.href);
    if (asked && follow instanceof AS.Follow && follow.id?.href === asked.follow) asked.word = word;
  };
}

function recorded(handle = () => {}) {
  return async (ctx, activity) => {
    await handle(ctx, activity);
    state.inbox.push(await describeActivity(ctx, activity));
  };
}

federation
  .setInboxListeners("/users/{identifier}/inbox", "/inbox")
  .on(AS.Follow, recorded(onFollow))
  .on(AS.Undo, recorded(onUndo))
  .on(AS.Accept, recorded(onAnswer("accepted")))
  .on(AS.Reject, recorded(onAnswer("rejected")))
  .on(AS.Activity, recorded())
  .onUnverifiedActivity((_ctx, activity, reason) => {
    state.unverified.push({ type: typeOf(activity), id: hrefOf(activity.id), reason: reason.type });
  })
  .onError((_ctx, error) => noteError("inbox")(error))
  .setSharedKeyDispatcher(() => INSTANCE);

// ── what she does ────────────────────────────────────────────────────────────────────────────────

const context = () => federation.createContext(new URL(origin), undefined);
const me = () => context().getActorUri(ALICE.identifier);

function mint(ctx, kind) {
  return new URL(`/${kind}/${crypto.randomUUID()}`, ctx.origin); // unused even after a restart on the same port
}

async function send(recipients, activity, { shared = false } = {}) {
  activities.set(activity.id.href, { activity, recipients });
  // One queue per recipient: what she does later never overtakes what she did before.
  await context().sendActivity(ALICE, recipients, activity, {
    preferSharedInbox: shared,
    orderingKey: "alice",
  });
  return { activity: activity.id.href };
}

async function lookUp(target) {
  const ctx = context();
  const documentLoader = await ctx.getDocumentLoader(INSTANCE);
  const options = loadersOf(ctx, { documentLoader });
  const found = await ctx.lookupObject(target, { documentLoader });
  if (found == null) throw new Error(`Fedify finds nothing at ${target}; its log says why`);
  return { found, ctx, options };
}

async function lookUpActor(target) {
  const { found } = await lookUp(target);
  if (!AS.isActor(found)) throw new Error(`${target} is no actor but a ${typeOf(found)}`);
  return found;
}

async function lookUpWithAuthor(target) {
  const { found, options } = await lookUp(target);
  const author = await found.getAttribution(options);
  if (author == null) throw new Error(`${target} names no author that Fedify trusts`);
  return { object: found, author };
}

async function follow({ target, shared }) {
  const actor = await lookUpActor(target);
  const activity = new AS.Follow({
    id: mint(context(), "follows"),
    actor: me(),
    object: actor.id,
    to: actor.id,
  });
  following.set(actor.id.href, { actor, follow: activity.id.href, word: "pending" });
  return { ...(await send([actor], activity, { shared })), actor: actor.id.href };
}

async function unfollow({ target, shared }) {
  const actor = await lookUpActor(target);
  const asked = following.get(actor.id.href);
  if (asked == null) throw new Error(`alice does not follow ${target}`);
  following.delete(actor.id.href);
  return await undo({ activity: asked.follow, shared });
}

async function undo({ activity: id, shared }) {
  const done = activities.get(id);
  if (done == null) throw new Error(`alice never did ${id}`);
  const activity = new AS.Undo({ id: mint(context(), "undos"), actor: me(), object: done.activity });
  return await send(done.recipients, activity, { shared });
}

function react(Kind, kind) {
  return async ({ object: target, shared }) => {
    const { object, author } = await lookUpWithAuthor(target);
    const activity = new Kind({
      id: mint(context(), kind),
      actor: me(),
      object: object.id,
      to: author.id,
      cc: AS.PUBLIC_COLLECTION,
    });
    return await send([author], activity, { shared });
  };
}

function wrapNote(Kind, kind, note, more = {}) {
  return new Kind({
    id: mint(context(), kind),
    actor: me(),
    object: note,
    tos: note.toIds,
    ccs: note.ccIds,
    ...more,
  });
}

async function publish(note, recipients, { shared }) {
  notes.set(note.id.href, { note, recipients });
  const done = await send(recipients, wrapNote(AS.Create, "creates", note), { shared });
  return { ...done, object: note.id.href };
}

function draft(content, more = {}) {
  return new AS.Note({
    id: mint(context(), "notes"),
    attribution: me(),
    content,
    to: AS.PUBLIC_COLLECTION,
    published: Temporal.Now.instant(),
    ...more,
  });
}

async function post({ content, shared }) {
  const note = draft(content, { cc: context().getFollowersUri(ALICE.identifier) });
  return await publish(note, [...followers.values()], { shared });
}

async function reply({ object: target, content, shared }) {
  const { object, author } = await lookUpWithAuthor(target);
  const mention = new AS.Mention({ href: author.id, name: `@${author.preferredUsername}@${author.id.host}` });
  const note = draft(content, { replyTarget: object.id, cc: author.id, tags: [mention] });
  return await publish(note, [author], { shared });
}

function ownNote(id) {
  const own = notes.get(id);
  if (own == null) throw new Error(`alice wrote no ${id}`);
  return own;
}

async function edit({ object: id, content, shared }) {
  const { note, recipients } = ownNote(id);
  const updated = Temporal.Now.instant();
  const edited = note.clone({ content, updated });
  notes.set(id, { note: edited, recipients });
  return await send(recipients, wrapNote(AS.Update, "updates", edited, { updated }), { shared });
}

async function remove({ object: id, shared }) {
  const { note, recipients } = ownNote(id);
  notes.delete(id);
  const tombstone = new AS.Tombstone({ id: note.id, to: AS.PUBLIC_COLLECTION });
  return await send(recipients, wrapNote(AS.Delete, "deletes", tombstone), { shared });
}

async function deleteActor({ shared }) {
  const everyone = [...[...following.values()].map((asked) => asked.actor), ...followers.values()];
  deletedAt = Temporal.Now.instant(); // from now on her actor document answers 410
  const activity = new AS.Delete({
    id: mint(context(), "deletes"),
    actor: me(),
    object: me(),
    to: AS.PUBLIC_COLLECTION,
  });
  return await send(everyone, activity, { shared });
}

async function lookup({ target }) {
  const { found, ctx, options } = await lookUp(target);
  return await describeDocument(ctx, found, options);
}

function snapshot() {
  const actor = {
    id: me().href,
    handle: `@${ALICE.identifier}@localhost:${settings.port}`,
    inbox: `${me().href}/inbox`,
    shared_inbox: `${origin}/inbox`,
  };
  const words = Object.fromEntries([...following].map(([id, asked]) => [id, asked.word]));
  return { actor, following: words, followers: [...followers.keys()], ...state };
}

const controls = {
  "GET /state": snapshot,
  "POST /follow": follow,
  "POST /unfollow": unfollow,
  "POST /like": react(AS.Like, "likes"),
  "POST /announce": react(AS.Announce, "announces"),
  "POST /undo": undo,
  "POST /post": post,
  "POST /reply": reply,
  "POST /edit": edit,
  "POST /delete": remove,
  "POST /delete-actor": deleteActor,
  "POST /lookup": lookup,
};

// ── up ───────────────────────────────────────────────────────────────────────────────────────────

async function answerControl(incoming) {
  const control = controls[`${incoming.method} ${incoming.url}`];
  if (control == null) return [404, { error: `no control ${incoming.method} ${incoming.url}` }];
  try {
    return [200, await control(incoming.method === "POST" ? await json(incoming) : {})];
  } catch (error) {
    return [400, { error: String(error.stack ?? error) }];
  }
}

async function control(incoming, outgoing) {
  const [status, answer] = await answerControl(incoming);
  outgoing.writeHead(status, { "content-type": "application/json" });
  outgoing.end(JSON.stringify(answer));
}

await configure({
  sinks: { console: getConsoleSink() },
  loggers: [
    { category: "fedify", sinks: ["console"], lowestLevel: "debug" },
    { category: ["logtape", "meta"], sinks: ["console"], lowestLevel: "warning" },
  ],
});

const answer = (request) => federation.fetch(request, { contextData: undefined });
const serve = listener(answer, {
  log: state.received,
  accepts: settings.accepts,
  onError: noteError("serve"),
});
const tls = { cert: readFileSync(settings.cert), key: readFileSync(settings.key) };
https.createServer(tls, serve).listen(Number(settings.port), "127.0.0.1", () => {
  http.createServer(control).listen(Number(settings["control-port"]), "127.0.0.1");
});
process.stdin.resume().on("end", () => process.exit()); // the harness is gone
