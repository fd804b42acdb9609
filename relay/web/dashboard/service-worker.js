// @ts-check
// Opens the task of a notification that was clicked. It does nothing else: it sees no request and keeps nothing.

/** @typedef {Event & {notification: Notification, waitUntil: (until: Promise<unknown>) => void}} Click */
/**
 * @typedef {{url: string, focus: () => Promise<unknown>, postMessage: (message: unknown) => void}} Tab
 * @typedef {{matchAll: (options: object) => Promise<Tab[]>, openWindow: (url: string) => Promise<unknown>}} Tabs
 */

addEventListener("notificationclick", (event) => {
  const { notification, waitUntil } = /** @type {Click} */ (event);
  notification.close();
  waitUntil.call(event, lead(notification.data));
});

/**
 * Leads a tab that has the page open to an address in it, or opens one.
 * @param {{page: string, hash: string}} to
 */
async function lead({ page, hash }) {
  const { clients } = /** @type {{clients: Tabs}} */ (/** @type {unknown} */ (globalThis));
  const all = await clients.matchAll({ type: "window", includeUncontrolled: true });
  const open = all.find(({ url }) => pathOf(url) === pathOf(page));
  if (open === undefined) return clients.openWindow(page + hash);
  open.postMessage({ open: hash });
  return open.focus().catch(() => {}); // it is led there, even where the browser does not let it be focused
}

/** @param {string} url */
function pathOf(url) {
  return new URL(url).pathname;
}
