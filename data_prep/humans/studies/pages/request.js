/** An answer that is an error: what happened, and what to do.
 * `status` 0 means that no answer came: the line is down, or the server is. */
export class Problem extends Error {
  /** @param {number} status @param {string} error @param {string} remedy
   * @param {Record<string, unknown>} facts */
  constructor(status, error, remedy, facts = {}) {
    super(error);
    this.status = status;
    this.remedy = remedy;
    this.facts = facts;
  }
}

/** Sends one request; the only place that fetches. The answer has come whole: one that was cut off in
 * its middle, by a server that died or a proxy, counts as none.
 * @param {string} method @param {string} address @param {unknown} [body]
 * @param {RequestInit} [options]
 * @returns {Promise<Response>} an answer with a 2xx status; else a Problem is thrown */
export async function request(method, address, body, options = {}) {
  let answer;
  try {
    const coming = await fetch(address, {
      method,
      headers: body === undefined ? {} : { "Content-Type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      credentials: "same-origin",
      ...options,
    });
    const data = await coming.arrayBuffer();
    answer = new Response(data.byteLength ? data : null, coming); // 204 takes no body, not even an empty one
  } catch {
    throw new Problem(0, "The study cannot be reached.", "Check your connection; nothing is lost.");
  }
  if (answer.ok) return answer;
  const facts = await answer.json().catch(() => ({})); // a proxy's own error page is no JSON
  throw new Problem(
    answer.status,
    typeof facts.error === "string" ? facts.error : `The server answered ${answer.status}.`,
    typeof facts.remedy === "string" ? facts.remedy : "Try again in a minute.",
    facts,
  );
}
