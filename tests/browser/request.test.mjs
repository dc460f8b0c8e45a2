// What a page makes of answers: `node --test tests/browser/request.test.mjs`.
import assert from "node:assert/strict";
import { test } from "node:test";
import { request } from "../../data_prep/humans/studies/pages/request.js";

const answers = (answer) => { globalThis.fetch = async () => answer; };

test("an answer that is cut off counts as none, so it is asked for again", async () => {
  const body = new ReadableStream({ pull: (stream) => stream.error(new TypeError("network error")) });
  answers(new Response(body));
  await assert.rejects(request("POST", "/api/trials", {}), { status: 0 });
});

test("whole answers, empty ones and refusals", async () => {
  answers(new Response('{"stored": 1}'));
  assert.deepEqual(await (await request("POST", "/", {})).json(), { stored: 1 });
  answers(new Response(null, { status: 204 }));
  assert.equal((await request("POST", "/", {})).status, 204);
  answers(new Response('{"error": "No.", "remedy": "Go."}', { status: 409 }));
  await assert.rejects(request("POST", "/", {}), { status: 409, message: "No.", remedy: "Go." });
  answers(new Response("<html>", { status: 502 }));
  await assert.rejects(request("POST", "/", {}), { status: 502 });
});
