/** Tells in plain JSON what Fedify read in an activity or a document, in the words README.md explains. */
import * as AS from "@fedify/fedify/vocab";

export const typeOf = (thing) => AS.getTypeId(thing).href.split(/[#/]/).at(-1);
const textOf = (value) => value?.toString() ?? null;
export const hrefOf = (url) => (url instanceof AS.Link ? url.href?.href : url?.href) ?? null;

async function listOf(items, describe) {
  const described = [];
  for await (const item of items) described.push(describe(item));
  return described;
}

async function describeObject(object, options) {
  return {
    id: hrefOf(object.id),
    type: typeOf(object),
    name: textOf(object.name),
    summary: textOf(object.summary),
    content: textOf(object.content),
    url: hrefOf(object.url),
    published: textOf(object.published),
    updated: textOf(object.updated),
    attributed_to: hrefOf(object.attributionId),
    in_reply_to: hrefOf(object.replyTargetId),
    to: object.toIds.map(hrefOf),
    cc: object.ccIds.map(hrefOf),
    tags: await listOf(object.getTags(options), (tag) => ({
      type: typeOf(tag),
      name: textOf(tag.name),
      href: hrefOf(tag.href),
    })),
    attachments: await listOf(object.getAttachments(options), (item) => ({
      type: typeOf(item),
      url: hrefOf(item.url),
      media_type: item.mediaType ?? null,
      name: textOf(item.name),
    })),
  };
}

export function loadersOf(ctx, more = {}) {
  return { documentLoader: ctx.documentLoader, contextLoader: ctx.contextLoader, ...more };
}

export async function objectOf(ctx, activity) {
  // An Accept or Reject brings our own Follow back: fetching that from ourselves, as Fedify otherwise does with
  // what is embedded from another origin, would prove nothing.
  const isAnswer = activity instanceof AS.Accept || activity instanceof AS.Reject;
  return await activity.getObject(
    loadersOf(ctx, { crossOrigin: isAnswer ? "trust" : "ignore", suppressError: true }),
  );
}

export async function describeActivity(ctx, activity) {
  const options = loadersOf(ctx, { suppressError: true });
  const object = await objectOf(ctx, activity);
  return {
    id: hrefOf(activity.id),
    type: typeOf(activity),
    actor: hrefOf(activity.actorId),
    object_id: hrefOf(activity.objectId),
    object: object && (await describeObject(object, options)),
    shared: ctx.recipient == null,
    json: await activity.toJsonLd(ctx),
  };
}

export async function describeDocument(ctx, object, options) {
  const description = { ...(await describeObject(object, options)), json: await object.toJsonLd(ctx) };
  if (AS.isActor(object)) {
    description.username = textOf(object.preferredUsername);
    description.inbox = hrefOf(object.inboxId);
    description.shared_inbox = hrefOf(object.endpoints?.sharedInbox);
    description.has_key = (await object.getPublicKey(options)) != null;
  }
  if (object instanceof AS.Collection) {
    description.total_items = object.totalItems;
    description.items = await listOf(ctx.traverseCollection(object, options), (item) => hrefOf(item.id));
  }
  return description;
}
