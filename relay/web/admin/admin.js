// @ts-check
// The page of operators: turns the sign-in and the address into questions to the relay, and the answers into the page.

import { find, setText } from "../dashboard/dom.js";
import { Actions } from "./actions.js";
import { rememberShown, shownByAddress } from "./address.js";
import { connections, listeners, NoAnswer, stats } from "./api.js";
import { Head } from "./head.js";
import { Outcome } from "./outcome.js";
import { Refresher } from "./refresher.js";
import { signIn, signInFromAddress, signOut, token } from "./session.js";
import { OLDEST_FIRST, Table } from "./table.js";
import { TaskView } from "./task.js";

/** @typedef {import("./address.js").Shown} Shown */
/** @typedef {import("./api.js").Connections} Connections */

const FEW = 200; // connections that are asked for until the reader wants more
const MANY = 1_000; // the most that the relay answers with

const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const signInForm = find("#sign-in");
const tokenField = find("#token");
const userField = find("#user");
const taskField = find("#task-id");
const banner = find("#banner");

/** @type {Shown} */
let shown = { user: "", task: "", sorting: OLDEST_FIRST };
let limit = FEW;
let answered = ""; // the question that the table answers
let isLost = false; // whether the last question had no answer
let answeredAt = 0; // ms since the epoch

const head = new Head();
const outcome = new Outcome();
const table = new Table({
  sort: (sorting) => change({ sorting }, { isStep: false }),
  filter: (user) => change({ user }),
  disconnect: (user) => actions.askToDisconnect(user),
});
const taskView = new TaskView({
  close: () => {
    change({ task: "" });
    taskField.focus();
  },
  filter: (user) => change({ user }),
});
const refresher = new Refresher(refresh, lose);
const actions = new Actions({
  outcome,
  failed: (error) => error instanceof NoAnswer && error.isDenied && deny(error.message),
  done: () => refresher.now(),
});

signInForm.addEventListener("submit", (/** @type {Event} */ event) => {
  event.preventDefault();
  signIn(tokenField.value);
  tokenField.value = "";
  start();
});
find("#sign-out").addEventListener("click", () => leave(""));
find("#filter").addEventListener("submit", (/** @type {Event} */ event) => {
  event.preventDefault();
  change({ user: userField.value });
});
userField.addEventListener("change", () => change({ user: userField.value }));
userField.addEventListener("input", () => userField.value === "" && change({ user: "" }));
find("#ask-task").addEventListener("submit", (/** @type {Event} */ event) => {
  event.preventDefault();
  change({ task: taskField.value.trim() });
  if (shown.task) taskView.focus();
});
find("#more").addEventListener("click", () => {
  limit = MANY;
  find("#connections-title").focus(); // the button disappears
  refresher.now();
});
find("button", banner).addEventListener("click", () => refresher.now());
addEventListener("popstate", () => show(shownByAddress()));
addEventListener("hashchange", () => signInFromAddress() && start());
addEventListener("keydown", (event) => {
  // A field that has just been hidden keeps the focus until the next frame, as the one of the sign-in.
  const isTyping = event.target instanceof HTMLInputElement && event.target.checkVisibility();
  if (event.key !== "/" || isTyping || event.ctrlKey || event.metaKey || event.altKey || find("#page").hidden) return;
  event.preventDefault();
  userField.focus();
  userField.select();
});

signInFromAddress();
show(shownByAddress());
if (token()) start();
else leave("");

/** Shows the page of the operator who is signed in now. */
function start() {
  setText(find("#sign-in-trouble"), "");
  taskView.open(shown.task);
  answered = "";
  refresher.start();
}

/**
 * Signs out.
 * @param {string} why in a sentence; "" if the reader asked for it
 */
function leave(why) {
  signOut();
  refresher.stop();
  // Nobody may be shown after the sign-in of an operator has ended.
  for (const part of [table, taskView, outcome]) part.clear();
  for (const id of ["users", "shown", "nobody"]) find(`#${id}`).replaceChildren();
  setPageHidden(true);
  find("#sign-in-trouble").hidden = why === "";
  setText(find("#sign-in-trouble"), why);
  tokenField.focus();
}

/** @param {string} why in a sentence */
function deny(why) {
  find("#confirm").close("");
  leave(why);
}

/** @param {boolean} hidden */
function setPageHidden(hidden) {
  signInForm.hidden = !hidden;
  for (const id of ["page", "health", "actions"]) find(`#${id}`).hidden = hidden;
  if (hidden) banner.hidden = true;
}

/**
 * The reader asks for something else.
 * @param {Partial<Shown>} changed
 * @param {{isStep: boolean}} [how]
 */
function change(changed, how = { isStep: true }) {
  const before = shown;
  rememberShown({ ...shown, ...changed }, how);
  show({ ...shown, ...changed });
  if (before.user !== shown.user || before.task !== shown.task) refresher.now();
}

/** @param {Shown} now */
function show(now) {
  if (now.user !== shown.user) userField.value = now.user;
  if (now.task !== shown.task) {
    taskField.value = now.task;
    taskView.open(now.task);
  }
  shown = now;
  table.sort(now.sorting);
}

/**
 * Asks for everything that the page shows.
 * @param {AbortSignal} signal
 */
async function refresh(signal) {
  const { user, task } = shown;
  const question = JSON.stringify([user, limit]);
  const [state, list, audience] = await Promise.all([
    stats(signal), connections(user, limit, signal), task ? listeners(task, signal) : undefined,
  ]);
  if (signal.aborted) return;
  setPageHidden(false);
  banner.hidden = true;
  if (isLost) outcome.say("The relay answers again.");
  isLost = false;
  answeredAt = Date.now();
  head.render(state);
  table.render(list.connections, question !== answered);
  if (audience) taskView.render(audience);
  showCount(user, list, question !== answered && answered !== "");
  answered = question;
  if (document.activeElement !== userField) offerUsers();
}

/**
 * @param {string} user
 * @param {Connections} list
 * @param {boolean} isNews whether the reader has asked for it
 */
function showCount(user, { connections: { length }, total, unanswered = [] }, isNews) {
  const isCut = length < total;
  const count = isCut
    ? `the oldest ${length.toLocaleString()} of ${total.toLocaleString()}` : `${total.toLocaleString()}`;
  const missing = unanswered.length > 0 ? `, without those of the workers that did not answer (${unanswered.join(", ")})` : "";
  const text = (user === "" ? count : `${count} of ${user}`) + missing;
  setText(find("#shown"), text);
  find("#more").hidden = !isCut || limit === MANY;
  find("#nobody").hidden = total > 0;
  setText(find("#nobody"), user === "" ? "Nobody is connected." : `${user} is not connected.`);
  if (isNews) outcome.say(`Connections: ${text}.`);
}

function offerUsers() {
  const users = [...table.users].sort();
  const list = find("#users");
  if (list.children.length === users.length && users.every((user, index) => list.children[index].value === user)) return;
  list.replaceChildren(...users.map((user) => Object.assign(document.createElement("option"), { value: user })));
}

/**
 * @param {unknown} error
 * @param {number} nextTryAt in ms since the epoch
 */
function lose(error, nextTryAt) {
  if (!(error instanceof NoAnswer)) throw error;
  if (error.isDenied) return deny(error.message);
  setPageHidden(false);
  head.lose();
  banner.hidden = false;
  const age = answeredAt ? ` What you see is from ${clock.format(answeredAt)}.` : "";
  setText(find("p", banner), `${error.message}${age} Next try at ${clock.format(nextTryAt)}.`);
  if (!isLost) outcome.say(`${error.message} The page tries again by itself.`);
  isLost = true;
}
