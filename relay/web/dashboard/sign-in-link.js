// @ts-check
// A link that looks like a button and leads to the application's sign-in, and from there back to this place.

import { signInAddress } from "./page-settings.js";

// A sign-in page usually refuses to be shown in a frame.
const IS_FRAMED = globalThis.top !== globalThis.self;

export class SignInLink {
  #link;

  /** @param {HTMLAnchorElement} link */
  constructor(link) {
    this.#link = link;
    if (IS_FRAMED) link.target = "_blank";
    link.rel = "noopener";
    // The way back is the address of the moment, which changes without a word while the page is used.
    for (const type of ["pointerdown", "focus", "click"]) link.addEventListener(type, () => void this.#aim());
  }

  /** @param {boolean} isWanted whether to show it, where the deployment has a sign-in */
  show(isWanted) {
    this.#link.hidden = !isWanted || !this.#aim();
  }

  /** Returns whether there is somewhere to sign in. */
  #aim() {
    const address = signInAddress();
    if (address === undefined) return false;
    this.#link.href = address;
    return true;
  }
}
