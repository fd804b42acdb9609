// @ts-check
// Opens the task of a notification that was clicked. It does nothing else: it sees no request and keeps nothing.

/** @typedef {Event & {notification: Notification, waitUntil: (until: Promise<unknown>) => void}} Click */
/**
 * @typedef {object} Tab
 * @property {string} url
 * @property {() => Promise<unknown>} focus
 * @property {(message: unknown, transfer?: Transferable[]) => void} postMessage
 */
/** @typedef {{matchAll: (options: object) => Promise<Tab[]>, openWindow: (url: string) => Promise<unknown>}} Tabs */

const ANSWER_WITHIN_MS = 500; // a tab that is frozen does not answer

addEventListener("notificationclick", (event) => {
  const { notification, waitUntil } = /** @type {Click} */ (event);
  notification.close();
  waitUntil.call(event, lead(notification.data));
});

/**
 * Leads a tab of the notification's user to an address in it, or opens one: another user may have a tab here as well.
 * @param {{page: string, hash: string, sub: string}} to
 */
async function lead({ page, hash, sub }) {
  const { clients } = /** @type {{clients: Tabs}} */ (/** @type {unknown} */ (globalThis));
  const all = await clients.matchAll({ type: "window", includeUncontrolled: true }); // the one used last comes first
  const pages = all.filter(({ url }) => pathOf(url) === pathOf(page));
  const answers = await Promise.all(pages.map((tab) => isOf(tab, sub)));
  const own = pages.find((_, index) => answers[index]);
  if (own === undefined) return clients.openWindow(page + hash);
  own.postMessage({ open: hash });
  return own.focus().catch(() => {}); // it is led there, even where the browser does not let it be focused
}

/**
 * Asks a tab whether it is of this user.
 * @param {Tab} tab
 * @param {string} sub
 * @returns {Promise<boolean>}
 */
function isOf(tab, sub) {
  const { port1, port2 } = new MessageChannel();
  return new Promise((answer) => {
    port1.onmessage = ({ data }) => answer(data === true);
    setTimeout(() => answer(false), ANSWER_WITHIN_MS);
    tab.postMessage({ asks: sub }, [port2]);
  });
}

/** @param {string} url */
function pathOf(url) {
  return new URL(url).pathname;
}
