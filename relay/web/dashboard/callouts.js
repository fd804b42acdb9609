// @ts-check
// What the open task asks, and what failed in it.

import { failureIn, stageOf, wholeError } from "../view/index.js";
import { blockElement } from "./block.js";
import { find, setText } from "./dom.js";
import { say } from "./language.js";
import { setRichText } from "./rich-text.js";

/** @import { Event, TaskSummary } from "../client/index.js" */

export class Callouts {
  #questions = find(".callout.questions");
  #error = find(".callout.error");
  /** @type {string | undefined} The error that is shown: what the reader has opened of it must stay open. */
  #shownError;

  /**
   * @param {TaskSummary} task
   * @param {readonly (Event | null)[]} events
   */
  show(task, events) {
    const { stage } = stageOf(task);
    this.#showQuestions(stage === "questions" ? (task.questions ?? []) : []);
    this.#showError(stage === "failed" && task.error !== undefined ? wholeError(task.error, events) : undefined);
  }

  /** Removes everything of a task. */
  clear() {
    this.#showQuestions([]);
    this.#showError(undefined);
  }

  /**
   * Moves the focus to the error.
   * @returns {boolean} false if none is shown
   */
  focusError() {
    if (this.#error.hidden) return false;
    const text = find("pre", this.#error);
    text.scrollIntoView({ block: "nearest" });
    text.focus({ preventScroll: true });
    return true;
  }

  /** @param {readonly string[]} questions */
  #showQuestions(questions) {
    const list = find("ol", this.#questions);
    this.#questions.hidden = questions.length === 0;
    setText(find("h3", this.#questions), say("task.questions", { count: questions.length }));
    while (list.children.length > questions.length) list.lastElementChild.remove();
    questions.forEach((question, index) => {
      const item = list.children[index] ?? list.appendChild(document.createElement("li"));
      item.dir = "auto";
      setRichText(item, question); // only where it differs: a selection stays
    });
  }

  /** @param {string | undefined} error */
  #showError(error) {
    if (error === this.#shownError) return;
    this.#shownError = error;
    this.#error.hidden = error === undefined;
    const failure = failureIn(error ?? "");
    const headline = find(".error-headline", this.#error);
    headline.hidden = failure === "";
    setRichText(headline, failure);
    const block = error === undefined ? [] : [blockElement(error, { label: say("task.what-failed") })];
    find(".error-text", this.#error).replaceChildren(...block);
  }
}
