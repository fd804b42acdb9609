// @ts-check
// The path under which the relay serves this page, as "/live/". One origin may serve several relays under several
// paths: whatever pages of an origin share has this path in its name, so that each relay's pages keep to themselves.

export const pagePath = globalThis.location ? new URL(".", location.href).pathname : "/";
