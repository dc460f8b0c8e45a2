import { Problem, request } from "../../studies/pages/request.js";

const TRIES = 3;
const FIRST_PAUSE_MS = 400;
const AT_ONCE = 4;

/** @typedef {import("./wire.js").Item} Item */

/** Fetches, verifies and decodes the pictures of a block, and keeps them until it ends: browsers
 * throw preloaded pictures away when they like.
 * @param {Item[]} items @param {(done: number) => void} progress
 * @returns {Promise<Map<string, ImageBitmap>>} by checksum */
export async function loadImages(items, progress) {
  /** @type {Map<string, ImageBitmap>} */
  const images = new Map();
  const left = [...items];
  let done = 0;
  async function work() {
    for (let item = left.shift(); item; item = left.shift()) {
      if (!images.has(item.sha256)) images.set(item.sha256, await load(item));
      progress((done += 1));
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return images;
}

/** @param {Item} item */
async function load(item) {
  for (let tries = 1; ; tries += 1) {
    try {
      const data = await (await request("GET", item.url)).arrayBuffer();
      if ((await sha256(data)) !== item.sha256) throw damaged();
      return await createImageBitmap(new Blob([data], { type: "image/png" })).catch(() => { throw damaged(); });
    } catch (error) {
      // The line may be down, or a proxy may have cut it off; what the server refuses stays refused.
      const mayPass = error instanceof Problem && (error.status === 0 || error.status === 503);
      if (!mayPass || tries === TRIES) throw error;
      await new Promise((resolve) => setTimeout(resolve, FIRST_PAUSE_MS * 2 ** (tries - 1)));
    }
  }
}

function damaged() {
  return new Problem(503, "A picture arrived damaged.", "Reload the page; your answers are stored.");
}

/** @param {ArrayBuffer} data */
async function sha256(data) {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", data));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
