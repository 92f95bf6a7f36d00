/** Carries requests between Node's servers and Fedify's `fetch`, and notes how each one was signed. */
import { buffer } from "node:stream/consumers";

/** Notes a request as the tests read it; its status is filled in when it is answered. */
function noteRequest(log, request) {
  const signed = request.headers.get("signature") ? "cavage" : null;
  const scheme = request.headers.get("signature-input") ? "rfc9421" : signed;
  const entry = { method: request.method, url: request.url, scheme, status: null };
  log.push(entry);
  return entry;
}

/** Notes every request that Fedify makes in `log`, as it goes out. */
export function watchOutgoingRequests(log) {
  const plainFetch = globalThis.fetch;
  globalThis.fetch = async (input, init) => {
    const request = new Request(input, init);
    const entry = noteRequest(log, request);
    const response = await plainFetch(request);
    entry.status = response.status;
    return response;
  };
}

async function toRequest(incoming) {
  const headers = new Headers();
  for (let i = 0; i < incoming.rawHeaders.length; i += 2) {
    headers.append(incoming.rawHeaders[i], incoming.rawHeaders[i + 1]);
  }
  const body = ["GET", "HEAD"].includes(incoming.method) ? undefined : await buffer(incoming);
  const url = new URL(incoming.url, `https://${incoming.headers.host}`);
  return new Request(url, { method: incoming.method, headers, body });
}

/**
 * Makes a request listener for Node out of `answer`, a function from Request to Response.
 *
 * With `accepts`, requests signed in any other scheme are answered 401 without asking.
 */
export function listener(answer, { log, accepts, onError }) {
  const respond = async (request) => {
    const entry = noteRequest(log, request);
    const isOther = accepts !== "both" && entry.scheme !== null && entry.scheme !== accepts;
    const response = isOther ? new Response(`only ${accepts} here`, { status: 401 }) : await answer(request);
    entry.status = response.status;
    return response;
  };
  return async (incoming, outgoing) => {
    try {
      const response = await respond(await toRequest(incoming));
      outgoing.writeHead(response.status, Object.fromEntries(response.headers));
      outgoing.end(Buffer.from(await response.arrayBuffer()));
    } catch (error) {
      onError(error);
      outgoing.writeHead(500).end();
    }
  };
}
