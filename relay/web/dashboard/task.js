// @ts-check
// Shows the open task: title, facts, steps, callouts and timeline.

import { duration, parseTime, reachedAt, stageOf } from "../view/index.js";
import { find, setAttribute, setDocumentText, setText } from "./dom.js";
import { EntriesView } from "./entries.js";
import { showBadge, showExactTime, showReferences } from "./facts.js";
import { pulse } from "./motion.js";
import { showSteps } from "./steps.js";

/** @import { TaskSummary, Timeline } from "../client/index.js" */

const PARTS = ".task-title, .creator, .refs, .callout p, .callout ol";
const NOT_OPEN = new Map([
  ["loading", "Loading…"],
  ["deleted", "This task has been deleted."],
  ["revoked", "This task is no longer visible to you."],
  ["forbidden", "There is no such task, or it is not visible to you."],
  ["too_many_tasks", "Too many tasks are open on this connection."],
]);

export class TaskView {
  #article = find("article.task");
  #empty = find(".detail-empty");
  #steps = find(".steps");
  #entries = new EntriesView();
  /** @type {Timeline | null} */
  #timeline = null;
  /** @type {TaskSummary | null} The summary that is shown. */
  #shown = null;
  #renderedVersion = -1;
  /** @type {import("../view/index.js").Reached} */
  #reached = new Map();

  /** @param {Timeline | null} timeline */
  show(timeline) {
    this.#timeline = timeline;
    this.#renderedVersion = -1;
    this.#forget();
    find(".task-about").scrollTop = 0;
    document.body.classList.toggle("task-open", timeline !== null);
  }

  /** Moves the focus to the task, where it covers the list. */
  focus() {
    find(this.#article.hidden ? ".detail-empty p" : ".task-title").focus({ preventScroll: true });
  }

  goToEnd() {
    if (!this.#article.hidden) this.#entries.goToEnd();
  }

  /** @param {TaskSummary | undefined} listed the summary in the list, shown until the task's own state arrives */
  render(listed) {
    const timeline = this.#timeline;
    if (!timeline) return;
    const loading = timeline.state === "loading";
    const task = timeline.task ?? (loading ? listed : undefined);
    if (!task) return this.#showReason(timeline.state);
    if (timeline.version === this.#renderedVersion && task === this.#shown) return;
    this.#empty.hidden = true;
    this.#article.hidden = false;
    this.#article.dataset.taskId = timeline.taskId;
    this.#reached = reachedAt(task, timeline.events);
    if (task !== this.#shown) showHead(this.#article, task, this.#shown);
    this.#shown = task;
    this.#entries.render(timeline.events);
    find(".timeline-empty").hidden = loading || timeline.events.length > 0;
    this.#renderedVersion = timeline.version;
    this.tick();
  }

  /** Updates the ages. */
  tick() {
    if (!this.#shown || this.#article.hidden) return;
    const created = parseTime(this.#shown.createdAt);
    if (created !== undefined) setText(find(".task-created time"), `${duration(Date.now() - created)} ago`);
    showSteps(this.#steps, this.#shown, this.#reached);
  }

  /** Removes everything of a task from the page. */
  #forget() {
    this.#article.hidden = true;
    this.#article.removeAttribute("data-task-id");
    for (const part of this.#article.querySelectorAll(PARTS)) part.replaceChildren();
    find(".task-title").removeAttribute("title");
    this.#shown = null;
    this.#entries.clear();
  }

  /** @param {string} state */
  #showReason(state) {
    this.#forget();
    this.#empty.hidden = false;
    this.#empty.classList.toggle("late", state === "loading");
    find("a", this.#empty).hidden = state === "loading";
    setText(find("p", this.#empty), whyNotOpen(state));
  }
}

/** @param {string} state */
function whyNotOpen(state) {
  return NOT_OPEN.get(state) ?? `This task could not be opened (${state}).`;
}

/**
 * @param {HTMLElement} article
 * @param {TaskSummary} task
 * @param {TaskSummary | null} before
 */
function showHead(article, task, before) {
  const title = find(".task-title", article);
  setDocumentText(title, task.title ?? "Untitled");
  title.classList.toggle("untitled", task.title === undefined);
  setAttribute(title, "title", task.title);
  const badge = find(".badge", article);
  if (showBadge(badge, task) && before) pulse(badge);
  const creator = find(".creator", article);
  setDocumentText(creator, task.creator ?? "");
  creator.hidden = task.creator === undefined;
  showReferences(find(".refs", article), task, before);
  const created = parseTime(task.createdAt);
  find(".task-created", article).hidden = created === undefined;
  showExactTime(find(".task-created time", article), created);
  showQuestions(find(".callout.questions", article), task);
  showError(find(".callout.error", article), task);
}

/**
 * @param {HTMLElement} callout
 * @param {TaskSummary} task
 */
function showQuestions(callout, task) {
  const questions = stageOf(task).stage === "questions" ? (task.questions ?? []) : [];
  callout.hidden = questions.length === 0;
  const count = questions.length;
  const heading = count === 1 ? "One question waits for an answer" : `${count} questions wait for an answer`;
  setText(find("h3", callout), heading);
  find("ol", callout).replaceChildren(...questions.map((question) => {
    const item = document.createElement("li");
    item.dir = "auto";
    setDocumentText(item, question);
    return item;
  }));
}

/**
 * @param {HTMLElement} callout
 * @param {TaskSummary} task
 */
function showError(callout, task) {
  const { error } = task;
  callout.hidden = error === undefined || stageOf(task).stage !== "failed";
  setDocumentText(find("p", callout), error ?? "");
}
