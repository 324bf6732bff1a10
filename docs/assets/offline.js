// A service worker: pages that were visited can be read without a network. The site has it at its root, since a service
// worker can answer only for what is below it.
//
// The network is always asked first, so that nobody who has one sees an old page; what it answers is kept.

"use strict";

const worker = /** @type {ServiceWorkerGlobalScope} */ (/** @type {unknown} */ (self));
const { scope } = worker.registration;  // the address of the site; others may share its host, and the caches
const CACHE = `${scope} 1`;  // another number throws away all that was kept
const NOT_HERE = `<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>There is no network</title>
<style>
  :root { color-scheme: light dark; font: 1rem/1.6 system-ui, sans-serif }
  body { max-width: 36rem; margin: 4rem auto; padding: 0 1rem }
</style>
<h1>There is no network</h1>
<p>The pages that you have visited can be read without it; this is none of them. Go back, try
<a href="${scope}">the first page</a>, or come again later.</p>
</html>
`;

// A file is the same whatever stands after a question mark.
/** @param {string} address */
function placeOf(address) { return address.replace(/[?#].*/, ""); }

// Keeps a copy of a file that there is, if its server allows it, and none of what there is no more.
/** @param {string} address @param {Response} response */
async function keep(address, response) {
  const isKept = response.status === 200 && !response.redirected;
  const copy = isKept && !response.headers.get("Cache-Control")?.includes("no-store") ? response.clone() : null;
  const cache = await caches.open(CACHE);
  if (copy) await cache.put(placeOf(address), copy);
  else if (response.status === 404) await cache.delete(placeOf(address));
}

// What a page has loaded before it had a service worker; the browser mostly has it still.
/** @param {string[]} addresses */
async function keepLoaded(addresses) {
  const cache = await caches.open(CACHE);
  await Promise.allSettled(addresses.filter((address) => address.startsWith(scope)).map(async (address) => {
    if (!await cache.match(placeOf(address))) await keep(address, await fetch(address, { cache: "force-cache" }));
  }));
}

/** @param {FetchEvent} event */
async function answer(event) {
  try {
    const response = await fetch(event.request);
    event.waitUntil(keep(event.request.url, response).catch(() => { /* there is no room for it */ }));
    return response;
  } catch {
    return kept(event.request);
  }
}

/** @param {Request} request */
async function kept({ url, mode }) {
  const found = await caches.match(placeOf(url), { cacheName: CACHE });
  if (found || mode !== "navigate") return found ?? Response.error();
  return new Response(NOT_HERE, { status: 503, headers: { "Content-Type": "text/html; charset=utf-8" } });
}

// Throws away what earlier versions kept, and begins with the pages that are open.
async function begin() {
  const old = (await caches.keys()).filter((name) => name.startsWith(`${scope} `) && name !== CACHE);
  await Promise.all(old.map((name) => caches.delete(name)));
  await worker.clients.claim();
}

worker.addEventListener("install", () => worker.skipWaiting());
worker.addEventListener("activate", (event) => event.waitUntil(begin()));
// With the first page, to which whoever has no network is led.
worker.addEventListener("message", (event) => event.waitUntil(keepLoaded([scope, ...event.data])));
worker.addEventListener("fetch", (event) => {
  const { method, url, cache } = event.request;
  if (method === "GET" && url.startsWith(scope) && cache !== "no-store") event.respondWith(answer(event));
});
