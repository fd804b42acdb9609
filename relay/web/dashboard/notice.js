// @ts-check
// The notice in place of the list: why there is nothing to see, and what its reader can do about it.

import { isDisconnected, isSignedOut } from "../view/index.js";
import { find, setText } from "./dom.js";
import { stateText, troubleOf } from "./freshness.js";
import { say } from "./language.js";
import { pageSettings } from "./page-settings.js";
import { SignInLink } from "./sign-in-link.js";

/** @import { Status, TaskList } from "../client/index.js" */

/**
 * What the notice is made from. `matching` is the number of tasks that the list shows.
 * @typedef {{status: Status, list: TaskList, sub: string, matching: number, searched: string}} Shown
 */
/** @typedef {{title: string, text: string, icon: string, isLate?: boolean}} Notice */

export class NoticeView {
  #notice = find("#notice");
  #sections = find("#sections");
  #signIn = new SignInLink(find(".sign-in", this.#notice));
  #help = find(".ask-help", this.#notice);
  #clear = find(".clear-filter", this.#notice);
  #again = find(".reconnect", this.#notice);

  /**
   * @param {object} answers
   * @param {() => void} answers.onClear
   * @param {() => void} answers.onReconnect
   */
  constructor({ onClear, onReconnect }) {
    this.#clear.addEventListener("click", onClear);
    this.#again.addEventListener("click", onReconnect);
    this.#help.href = pageSettings.helpUrl ?? "";
    this.#help.rel = "noopener";
    this.#help.target = pageSettings.helpUrl?.toLowerCase().startsWith("mailto:") ? "" : "_blank";
  }

  /**
   * Shows a notice in place of the list, or the list.
   * @param {Shown} shown
   * @param {{isFiltered: boolean}} how
   */
  render(shown, { isFiltered }) {
    const notice = noticeOf(shown);
    this.#notice.hidden = notice === null;
    this.#sections.hidden = notice !== null;
    if (notice === null) return;
    const { status, list } = shown;
    const isLoading = list.state === "loading";
    setText(find("h2", this.#notice), notice.title);
    setText(find("p", this.#notice), notice.text);
    find(".icon", this.#notice).dataset.icon = notice.icon;
    this.#notice.classList.toggle("late", notice.isLate === true);
    this.#signIn.show(isLoading && isSignedOut(status));
    this.#help.hidden = !pageSettings.helpUrl || !missesRights(shown);
    this.#clear.hidden = !isFiltered || list.tasks.length === 0;
    const canTry = status.state === "refused" || (status.state === "offline" && !isSignedOut(status));
    this.#again.hidden = !isLoading || !canTry;
    setText(this.#again, isDisconnected(status) ? say("connection.reconnect") : say("connection.try-now"));
  }
}

/**
 * @param {Shown} shown
 * @returns {Notice | null}
 */
function noticeOf({ status, list, sub, matching, searched }) {
  if (list.state === "loading" && (status.state === "offline" || status.state === "refused")) {
    return { title: stateText(status), text: troubleOf(status), icon: isSignedOut(status) ? "person" : "failed" };
  }
  if (list.state === "loading") return { title: say("notice.loading"), text: "", icon: "relay", isLate: true };
  if (list.state !== "ready") {
    return { title: say("notice.no-list"), text: say("notice.no-list.text", { reason: list.state }), icon: "failed" };
  }
  if (list.tasks.length === 0) {
    return { title: say("notice.empty"), text: say("notice.empty.text", { sub }), icon: "relay" };
  }
  if (matching > 0) return null;
  const text = searched === "" ? say("search.empty-section") : say("search.no-match", { text: searched });
  return { title: say("search.nothing-found"), text, icon: "search" };
}

/** @param {Shown} shown */
function missesRights({ status, list }) {
  const isEmpty = list.state === "ready" && list.tasks.length === 0;
  return isEmpty || (list.state === "loading" && status.state === "refused");
}
