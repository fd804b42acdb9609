// @ts-check
// The dashboard: session, route and filter in, one render per frame out.

import { connect } from "/client/index.js";
import { find, setText } from "./dom.js";
import { FreshnessView, refusal } from "./freshness.js";
import { ListView } from "./list.js";
import { signIn, token } from "./session.js";
import { TaskView } from "./task.js";

const TICK_MS = 1000;
const TASK_ROUTE = "#/tasks/";

const filter = /** @type {HTMLInputElement} */ (find("#filter"));
const notice = find("#notice");
const sections = find("#sections");
const listView = new ListView(invalidate);
const taskView = new TaskView();
const freshnessView = new FreshnessView(() => relay.retry());

/** @type {import("/client/index.js").Relay} */
let relay;
/** @type {import("/client/index.js").TaskList} */
let list;
/** @type {import("/client/index.js").Timeline | null} */
let open = null;
let frame = 0;

signIn();
start();
addEventListener("hashchange", () => {
  if (signIn()) start();
  else route();
});
addEventListener("keydown", onKey);
filter.addEventListener("input", invalidate);
find("button", notice).addEventListener("click", clearFilter);
setInterval(() => {
  if (document.hidden) return;
  listView.tick();
  taskView.tick();
  freshnessView.tick();
}, TICK_MS);

/** A connection for whoever is signed in now; what an earlier one showed goes away. */
function start() {
  relay?.close();
  relay = connect({ url: "/ws", token });
  relay.onStatus(invalidate);
  list = relay.joinDashboard();
  list.onChange(invalidate);
  open = null;
  route();
}

/** `#/tasks/<id>` names the open task. */
function route() {
  const taskId = routedTaskId();
  if (taskId === (open?.taskId ?? null)) return invalidate();
  if (open) relay.leaveTask(open.taskId);
  open = taskId === null ? null : relay.joinTask(taskId);
  open?.onChange(invalidate);
  taskView.show(open);
  invalidate();
}

function routedTaskId() {
  if (!location.hash.startsWith(TASK_ROUTE)) return null;
  try {
    return decodeURIComponent(location.hash.slice(TASK_ROUTE.length)) || null;
  } catch {
    return null; // not an address this page made
  }
}

/** However many messages come, the next frame shows them all at once. */
function invalidate() {
  frame ||= requestAnimationFrame(render);
}

function render() {
  frame = 0;
  const wanted = filter.value.trim();
  const hasList = list.state === "ready";
  freshnessView.render(relay.status, hasList);
  const matching = hasList ? listView.render(list.tasks, wanted, open?.taskId ?? null) : 0;
  taskView.render(open ? list.get(open.taskId) : undefined);
  showNotice(matching, wanted);
}

/**
 * What stands in place of a list that is not there.
 * @param {number} matching
 * @param {string} wanted
 */
function showNotice(matching, wanted) {
  const words = noticeWords(matching, wanted);
  notice.hidden = words === null;
  sections.hidden = words !== null;
  if (words === null) return;
  setText(find("h2", notice), words.title);
  setText(find("p", notice), words.text);
  notice.classList.toggle("late", words.title === "Loading…");
  find("button", notice).hidden = wanted === "" || list.tasks.length === 0;
}

/**
 * @param {number} matching
 * @param {string} wanted
 */
function noticeWords(matching, wanted) {
  const { state, reason } = relay.status;
  if (list.state === "loading" && state === "refused") return refusal(reason);
  if (list.state === "loading") return { title: "Loading…", text: "" };
  if (list.state !== "ready") return { title: "No list", text: `The relay refused it (${list.state}).` };
  if (list.tasks.length === 0) {
    return { title: "No tasks yet", text: "They appear here the moment a writer creates one." };
  }
  if (matching === 0) return { title: "Nothing found", text: `No task matches “${wanted}”.` };
  return null;
}

function clearFilter() {
  filter.value = "";
  filter.focus();
  invalidate();
}

/** @param {KeyboardEvent} event */
function onKey(event) {
  const typing = event.target instanceof HTMLInputElement;
  if (event.key === "/" && !typing) {
    event.preventDefault();
    filter.focus();
    filter.select();
  } else if (event.key === "Escape" && typing) {
    clearFilter();
    filter.blur();
  } else if (event.key === "Escape" && open) {
    location.hash = "#/";
  }
}
