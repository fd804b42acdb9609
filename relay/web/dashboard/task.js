// @ts-check
// The open task: title, facts, callouts, steps and timeline.

import { find, setAttribute, setText } from "./dom.js";
import { EntriesView } from "./entries.js";
import { showBadge, showCreator, showExactTime, showReferences } from "./facts.js";
import { standing } from "./stages.js";
import { showSteps } from "./steps.js";
import { duration, moment } from "./time.js";

/** @typedef {import("/client/index.js").TaskSummary} TaskSummary */
/** @typedef {import("/client/index.js").Timeline} Timeline */

const NOT_OPEN = {
  none: "Open a task to see its timeline.",
  loading: "Loading…",
  deleted: "This task has been deleted.",
  revoked: "This task is no longer visible to you.",
  forbidden: "There is no such task, or it is not visible to you.",
  too_many_tasks: "Too many tasks are open on this connection.",
};

export class TaskView {
  #article = find("article.task");
  #empty = find(".detail-empty");
  #entries = new EntriesView();
  /** @type {Timeline | null} */
  #timeline = null;
  #renderedVersion = -1;

  /** @param {Timeline | null} timeline */
  show(timeline) {
    this.#timeline = timeline;
    this.#renderedVersion = -1;
    this.#entries.clear();
    this.#article.hidden = true;
    find(".task-about").scrollTop = 0;
    document.body.classList.toggle("task-open", timeline !== null);
  }

  /** @param {TaskSummary | undefined} listed what the list knows of it, until its own state is here */
  render(listed) {
    const timeline = this.#timeline;
    const loading = timeline?.state === "loading";
    const task = timeline?.task ?? (loading ? listed : undefined);
    if (!timeline || !task) {
      this.#article.hidden = true;
      this.#empty.hidden = false;
      this.#empty.classList.toggle("late", loading);
      setText(find("p", this.#empty), whyNotOpen(timeline?.state ?? "none"));
      return;
    }
    if (timeline.version === this.#renderedVersion) return;
    const isNew = this.#article.hidden;
    this.#empty.hidden = true;
    this.#article.hidden = false;
    this.#article.dataset.taskId = timeline.taskId;
    showAbout(this.#article, task, isNew);
    showSteps(find(".steps"), task, timeline.events);
    this.#entries.render(timeline.events);
    find(".timeline-empty").hidden = loading || timeline.events.length > 0;
    this.tick();
    if (!loading) this.#renderedVersion = timeline.version;
  }

  /** Ages move on without a render. */
  tick() {
    const task = this.#timeline?.task;
    if (!task || !this.#timeline) return;
    const created = moment(task.createdAt);
    if (created !== undefined) setText(find(".task-created time"), `${duration(Date.now() - created)} ago`);
    showSteps(find(".steps"), task, this.#timeline.events);
  }
}

/** @param {string} state */
function whyNotOpen(state) {
  return NOT_OPEN[/** @type {keyof typeof NOT_OPEN} */ (state)] ?? `This task could not be opened (${state}).`;
}

/**
 * @param {HTMLElement} article
 * @param {TaskSummary} task
 * @param {boolean} isNew
 */
function showAbout(article, task, isNew) {
  const title = find(".task-title", article);
  setText(title, task.title ?? "Untitled");
  setAttribute(title, "title", task.title);
  showBadge(article, task, { isNew });
  showCreator(article, task);
  showReferences(article, task);
  const created = moment(task.createdAt);
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
  const questions = standing(task).stage === "questions" ? (task.questions ?? []) : [];
  callout.hidden = questions.length === 0;
  setText(find("h3", callout), questions.length === 1 ? "One question waits for an answer" : `${questions.length} questions wait for an answer`);
  const said = JSON.stringify(questions);
  const list = find("ol", callout);
  if (list.dataset.said === said) return;
  list.dataset.said = said;
  list.replaceChildren(...questions.map((question) => {
    const item = document.createElement("li");
    item.dir = "auto";
    item.textContent = question;
    return item;
  }));
}

/**
 * @param {HTMLElement} callout
 * @param {TaskSummary} task
 */
function showError(callout, task) {
  const { error } = task;
  callout.hidden = error === undefined || standing(task).stage !== "failed";
  setText(find("p", callout), error ?? "");
}
