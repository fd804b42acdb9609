// @ts-check
// Asks the application for a token of the user who is signed in there.

const ANSWER_WITHIN_MS = 15_000; // as long as the client waits: later, the request would only occupy a connection
const SIGNED_OUT = new Set([401, 403]);
const JWT = /^[\w-]+\.[\w-]+\.[\w-]+$/;

/**
 * Sends the request with the cookies of the page's origin.
 *
 * A redirect counts as signed out, because applications answer so with their login page. Rejects after any other
 * answer without a token, and without an answer in time: then the client asks again.
 * @param {string} url
 * @returns {Promise<string | null>} null if nobody is signed in
 */
export async function applicationToken(url) {
  const answer = await fetch(url, {
    headers: { accept: "text/plain, application/json, */*;q=0.1" },
    credentials: "same-origin",
    cache: "no-store",
    redirect: "manual",
    signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
  });
  if (answer.type === "opaqueredirect" || SIGNED_OUT.has(answer.status)) return null;
  if (!answer.ok) throw new Error(`the application answered with status ${answer.status}`);
  const token = tokenIn((await answer.text()).trim());
  // Not the text: whatever it is, it may hold a secret.
  if (token !== null && !JWT.test(token)) throw new Error("the application answered with something else than a token");
  return token;
}

/**
 * @param {string} text a token, JSON that is a token, or a JSON object with `token`
 * @returns {string | null} null where it has none
 */
function tokenIn(text) {
  if (!/^["{]/.test(text)) return text || null;
  const read = JSON.parse(text);
  const token = typeof read === "string" ? read : read.token;
  return typeof token === "string" && token !== "" ? token : null;
}
