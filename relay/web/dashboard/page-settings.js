// @ts-check
// What the deployment says of this page: the settings that the relay wrote into its HTML.

import { find } from "./dom.js";

/**
 * - `tokenUrl`: where the application answers with a token;
 * - `signInUrl`: where somebody who is signed out can sign in;
 * - `helpUrl`: where somebody who misses rights can ask for them.
 * @typedef {{tokenUrl?: string, signInUrl?: string, helpUrl?: string}} PageSettings
 */

/** @type {PageSettings} */
export const pageSettings = JSON.parse(find("#page-settings").textContent || "{}");

/**
 * The address to sign in at, which leads back to where the page is now.
 * @returns {string | undefined} undefined where the deployment names none
 */
export function signInAddress() {
  if (pageSettings.signInUrl === undefined) return undefined;
  const address = new URL(pageSettings.signInUrl, location.href);
  address.searchParams.set("return_to", location.href);
  return address.href;
}
