// @ts-check
// Shows notifications of this page: one for each task, which a later one of the same task replaces.
//
// Chrome on Android shows them only through a service worker: there the constructor throws. That worker lies beside
// these modules, has no page in its scope, keeps nothing and sees no request.

const WORKER = "dashboard/service-worker.js"; // relative to the page
const ICON = "dashboard/icon.svg";

/** @type {Map<string, Notification>} What the constructor made, by its tag. */
const shown = new Map();

/** Whether the reader and the browser allow notifications. */
export function canNotify() {
  return "Notification" in globalThis && Notification.permission === "granted";
}

/** Asks the reader, unless they have answered before. */
export async function askToNotify() {
  if ("Notification" in globalThis && Notification.permission === "default") await Notification.requestPermission();
  return canNotify();
}

/**
 * Listens for clicks on the notifications of the service worker.
 * @param {object} page
 * @param {(hash: string) => void} page.open called with the address in the page that a notification leads to, as
 *   `#/tasks/1`
 * @param {(sub: string) => boolean} page.isOf whether the page shows this user's tasks
 */
export function onNotificationClick({ open, isOf }) {
  navigator.serviceWorker?.addEventListener("message", ({ data, ports }) => {
    if (typeof data?.asks === "string") ports[0]?.postMessage(isOf(data.asks));
    if (typeof data?.open === "string") open(data.open);
  });
  navigator.serviceWorker?.startMessages();
}

/**
 * @param {string} tag a notification of this origin with the same tag is replaced
 * @param {string} title
 * @param {string} body
 * @param {{sub: string, hash: string}} about the user, and the address in the page that it leads to
 */
export async function notify(tag, title, body, about) {
  // `renotify`: it asks for something else now, so the reader is called again.
  const options = { body, tag, renotify: true, icon: new URL(ICON, document.baseURI).href };
  try {
    const notification = new Notification(title, options);
    shown.set(tag, notification);
    notification.addEventListener("close", () => {
      if (shown.get(tag) === notification) shown.delete(tag);
    });
    notification.addEventListener("click", () => {
      window.focus();
      location.hash = about.hash;
      notification.close();
    });
  } catch {
    const page = `${location.origin}${location.pathname}${location.search}`;
    await (await worker()).showNotification(title, { ...options, data: { page, ...about } });
  }
}

/**
 * Takes a notification back.
 * @param {string} tag
 */
export async function withdraw(tag) {
  shown.get(tag)?.close();
  shown.delete(tag);
  const registration = await navigator.serviceWorker?.getRegistration(WORKER);
  for (const one of (await registration?.getNotifications({ tag })) ?? []) one.close();
}

/**
 * Takes back what a service worker still shows, also for a page that is gone.
 * @param {(sub: string) => boolean | Promise<boolean>} isGone whether to take back what is for this user
 */
export async function withdrawFor(isGone) {
  const registration = await navigator.serviceWorker?.getRegistration(WORKER);
  for (const one of (await registration?.getNotifications()) ?? []) {
    if (await isGone(String(one.data?.sub))) one.close();
  }
}

/** The service worker, once it can show notifications. */
async function worker() {
  const registration = await navigator.serviceWorker.register(WORKER);
  const installing = registration.installing ?? registration.waiting;
  while (!registration.active && installing) {
    await new Promise((changed) => installing.addEventListener("statechange", changed, { once: true }));
    if (installing.state === "redundant") throw new Error("the service worker of the page cannot be installed");
  }
  return registration;
}
