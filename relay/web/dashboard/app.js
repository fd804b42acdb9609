// @ts-check
// The dashboard: turns the session, the route and the search into one render per frame.

import { connect } from "../client/index.js";
import { isDisconnected, isSignedOut, waitsForMe } from "../view/index.js";
import { copyLink } from "./copy.js";
import { Deployment } from "./deployment.js";
import { Divider } from "./divider.js";
import { find, setText } from "./dom.js";
import { stageLabel } from "./facts.js";
import { FreshnessView } from "./freshness.js";
import { listenToKeys } from "./keys.js";
import { say, sayStaticTexts } from "./language.js";
import { ListView } from "./list.js";
import { marks } from "./marks.js";
import { memory } from "./memory.js";
import { Announcer } from "./announcer.js";
import { Attention } from "./attention.js";
import { neighbour, nextIn } from "./neighbours.js";
import { NoticeView } from "./notice.js";
import { pageSettings } from "./page-settings.js";
import { Renewal } from "./renewal.js";
import { addressOf } from "./row.js";
import { SavedViews } from "./saved-views.js";
import { SearchView } from "./search.js";
import { Session } from "./session.js";
import { SinceView } from "./since.js";
import { TaskView } from "./task.js";

/** @import { TaskSummary } from "../client/index.js" */

const TICK_MS = 1000;
const TASK_ROUTE = "#/tasks/";
const LIST_LIMIT = 5000; // the largest limit of a list (PROTOCOL.md section 4)
const LOOK_AGAIN_MS = 5 * 60_000; // after the relay said not to come back: it may have been switched on for the user
// A hidden page has no frames. It renders all the same, so that it knows when each task came where it is.
const HIDDEN_RENDER_MS = 1000; // browsers run the timers of hidden pages no more often
const ASK_AGAIN_MS = 60_000; // after the page was hidden for so long, somebody else may be signed in to the application
const BESIDE = matchMedia("(min-width: 1100px)");

sayStaticTexts(); // before the views copy templates
setText(find("#partial"), say("list.partial", { count: LIST_LIMIT }));

const sections = find("#sections");
const session = new Session({ tokenUrl: pageSettings.tokenUrl, onOther, onNews: renew });
const renewal = new Renewal(() => follow(relay.status));
const search = new SearchView(invalidate, {
  me: () => relay.me,
  tasks: () => list.tasks,
  chosen: showList,
  labelOf: stageLabel,
  is: new Map([["mine", isMine], ["unread", (/** @type {TaskSummary} */ task) => marks.isUnread(task)]]),
});
const savedViews = new SavedViews({ open: (view) => search.open(view), count: countOf });
const listView = new ListView(invalidate);
const taskView = new TaskView(reopen);
const deployment = new Deployment(invalidate);
new Divider();
const sinceView = new SinceView(invalidate);
const freshnessView = new FreshnessView(() => relay.retry(), () => session.lacksSuccessor);
const noticeView = new NoticeView({ onClear: () => search.clear(), onReconnect: () => relay.retry() });
const announcer = new Announcer(() => list);
const attention = new Attention(() => list, () => relay.me);

/** @type {import("../client/index.js").Relay} */
let relay;
/** @type {import("../client/index.js").TaskList} */
let list;
/** @type {import("../client/index.js").Timeline | null} */
let open = null;
let frame = 0;
/** @type {ReturnType<typeof setTimeout> | undefined} The render of a hidden page. */
let hiddenRender;
let hiddenAt = Infinity; // in ms since the epoch
/** @type {ReturnType<typeof setTimeout> | undefined} */
let lookingAgain;
/** @type {import("../client/index.js").Status} The status that is shown. */
let status = { state: "connecting" };
let shownSub = ""; // the user of this connection; "" until the relay has named one
let lastSub = ""; // the last user whom the relay has named to this page
let isAside = false; // emptied, and kept by the browser for the way back

session.signIn();
start();
addEventListener("hashchange", () => {
  const signed = session.signIn();
  if (signed === "signed in") return start();
  if (signed === "renewed" && open) history.replaceState(null, "", addressOf(open.taskId));
  if (signed === "renewed") renew();
  route();
});
for (const type of ["online", "offline"]) addEventListener(type, invalidate);
document.addEventListener("visibilitychange", shown);
addEventListener("pagehide", ({ persisted }) => persisted && setAside());
addEventListener("pageshow", ({ persisted }) => persisted && takeUp());
listenToKeys({
  step: (by) => listView.step(listView.focused ?? open?.taskId ?? null, by),
  move,
  next: openNextThatNeedsMe,
  copy: copyLink,
  search: () => search.focus(),
  leave,
  end: () => taskView.goToEnd(),
  find: () => taskView.find(),
});
setInterval(() => !document.hidden && tick(), TICK_MS);

/** Connects for the user who is signed in now, and removes everything that an earlier connection showed. */
function start() {
  clear();
  relay = connect({ url: "ws", token: () => session.token(), measureDelay: true, joinEarly: true });
  status = relay.status;
  relay.onStatus(follow);
  relay.onMessage((message) => {
    if (shownSub !== "" && sub() !== shownSub) return onOther(); // whom no token has named, as with an id that is too long
    if (shownSub === "") named(sub());
    memory.open(shownSub, { removesOthers: session.asksApplication });
    if (message.type === "auth:expiring") session.expiring();
    if (message.type === "welcome" || message.type === "auth:ok") session.accepted();
    announcer.take(message);
    attention.take(message, shownSub);
    if (message.type === "dashboard:state" && !message.data.more) find("#partial").hidden = list.size < LIST_LIMIT;
    if (message.type.startsWith("auth:") || message.type === "welcome") invalidate(); // `relay.me` may differ
  });
  freshnessView.follow(relay);
  list = relay.joinDashboard({ limit: LIST_LIMIT });
  list.onChange(invalidate);
  open = null;
  route();
}

/** Ends the connection, and removes everything of its user from the page. */
function clear() {
  relay?.close();
  listView.clear();
  attention.clear();
  sinceView.clear();
  renewal.clear();
  announcer.clear();
  taskView.show(null);
  find("#partial").hidden = true;
  memory.open(""); // after the views have saved what there was to remember
  shownSub = "";
}

/**
 * The relay has named the user of this connection. What another one has searched for and opened is not for them.
 * @param {string} now
 */
function named(now) {
  shownSub = now;
  if (now === "") return;
  const isNext = lastSub !== "" && lastSub !== now;
  lastSub = now;
  if (!isNext) return;
  search.clear();
  if (open) location.replace("#/");
}

/**
 * The browser keeps the page for the way back. Until then another user may sign in to the application, so the page has
 * to come back empty: it asks who is signed in, and shows nothing before the answer.
 */
function setAside() {
  if (!session.asksApplication) return;
  isAside = true;
  clear();
  session.forgetUser();
}

function takeUp() {
  if (!isAside) return;
  isAside = false;
  start();
}

/** The user; "" while it is not known. */
function sub() {
  return relay.stats.sub || (relay.me.sub?.[0] ?? ""); // polls name the user only so
}

/** Another user is signed in now, or nobody: what is there of the user before is removed from the page. */
function onOther() {
  if (session.current !== null) memory.open(""); // nothing of the user before is saved any more
  start();
}

/** @param {import("../client/index.js").Status} now */
function follow(now) {
  // Keep showing "Signed out" while the same token is tried again, and "Disconnected" while another one is asked for.
  if (now.state === "connecting" && (isSignedOut(status) || isDisconnected(status))) return;
  status = renewal.shown(now, session.isRenewed);
  if (isCurrent()) deployment.refresh(session.current);
  if (isSignedOut(now) && now.reason !== "no_token" && session.refused()) relay.renew();
  if (isSignedOut(status) || isDisconnected(status) || status.state === "refused") attention.rest();
  clearTimeout(lookingAgain);
  if (now.state === "refused") lookingAgain = setTimeout(() => relay.retry(), LOOK_AGAIN_MS);
  invalidate();
}

/** Whether the relay has accepted the token. */
function isCurrent() {
  return status.state === "live" || status.state === "polling";
}

/** There may be another token: connect with it now if the old one was refused. */
function renew() {
  if (isSignedOut(status)) relay.retry();
  else relay.renew(); // not with the token of before, which another tab may have brought
}

/** Opens the task that the address names, as in `#/tasks/<id>`. */
function route() {
  const taskId = routedTaskId();
  const before = open?.taskId ?? null;
  if (taskId === before && (taskId === null) === !document.body.classList.contains("task-open")) return invalidate();
  if (open) relay.leaveTask(open.taskId);
  open = taskId === null ? null : relay.joinTask(taskId);
  open?.onChange(invalidate);
  if (open && isCurrent()) deployment.refresh(session.current);
  listView.keepInPlace(taskId ?? before, () => taskView.show(open));
  render();
  if (taskId !== null && !BESIDE.matches) taskView.focus();
  else if (taskId === null && before !== null) listView.focus(before);
}

/** Opens the task once more that could not be opened. */
function reopen() {
  if (!open) return;
  relay.leaveTask(open.taskId);
  open = relay.joinTask(open.taskId);
  open.onChange(invalidate);
  taskView.show(open);
  render();
}

function routedTaskId() {
  if (!location.hash.startsWith(TASK_ROUTE)) return null;
  const written = location.hash.slice(TASK_ROUTE.length);
  try {
    return decodeURIComponent(written) || null;
  } catch {
    return written; // a broken link: there is no such task, and the page says so
  }
}

/** Renders with the next frame, once for any number of messages. */
function invalidate() {
  if (isAside) return;
  if (document.hidden) hiddenRender ??= setTimeout(render, HIDDEN_RENDER_MS);
  else frame ||= requestAnimationFrame(render);
}

/** The page was hidden, or is shown again. */
function shown() {
  if (frame !== 0 || hiddenRender !== undefined) forgetRender();
  invalidate(); // what is open before the reader's eyes is read
  if (document.hidden) return void (hiddenAt = Date.now());
  tick();
  if (Date.now() - hiddenAt > ASK_AGAIN_MS && session.asksApplication && isCurrent()) relay.renew();
}

/** Updates the times that are shown. */
function tick() {
  listView.tick();
  taskView.tick();
  sinceView.tick();
  freshnessView.tick();
  savedViews.tick();
}

function forgetRender() {
  cancelAnimationFrame(frame);
  clearTimeout(hiddenRender);
  frame = 0;
  hiddenRender = undefined;
}

function render() {
  forgetRender();
  const hasList = list.state === "ready";
  document.body.classList.toggle("has-list", hasList);
  freshnessView.render(status, hasList);
  savedViews.render(search.view);
  let matching = 0;
  if (hasList) {
    const how = { me: relay.me, openTaskId: open?.taskId ?? null, marking: freshnessView.isReturning };
    const counts = listView.render(list.tasks, search.current, how);
    search.render(counts);
    for (const [section, count] of counts) {
      if (!search.current.section || search.current.section === section) matching += count;
    }
  }
  sinceView.render(hasList ? listView.rows : null);
  const listed = open ? list.get(open.taskId) : undefined;
  taskView.render({ listed, me: relay.me, links: deployment.links });
  noticeView.render({ status, list, sub: sub(), matching, searched: search.text }, { isFiltered: search.isOn });
}

/** The key Esc: leaves the search if it has the focus, else closes the open task, else shows all tasks again. */
function leave() {
  if (search.leave()) return;
  if (open) location.hash = "#/";
  else if (search.isOn) search.clear();
}

/** Closes a task that covers the list. */
function showList() {
  if (open && !BESIDE.matches) location.replace("#/"); // the entry of the history is the one of the view
}

/**
 * The keys j and k: open the task above or below, where one lies beside the list, and otherwise move the focus.
 * @param {number} by
 */
function move(by) {
  if (!open || !BESIDE.matches) return listView.step(listView.focused ?? open?.taskId ?? null, by);
  const taskId = neighbour(sections, open.taskId, by);
  if (taskId === undefined) return;
  if (listView.focused !== null) listView.focus(taskId);
  location.replace(addressOf(taskId)); // Back leads to where the reader was before leafing through the tasks
}

/** The key n. */
function openNextThatNeedsMe() {
  const taskId = nextIn(sections, "needs-me", open?.taskId ?? listView.focused);
  if (taskId === undefined) setText(find("#said"), say("keys.nothing-needs-me"));
  else location.hash = addressOf(taskId);
}

/**
 * How many tasks a saved view has.
 * @param {import("./view-address.js").View} view
 */
function countOf(view) {
  if (list?.state !== "ready") return undefined;
  const passes = search.predicate(view);
  return list.tasks.reduce((count, task) => count + Number(passes(task)), 0);
}

/**
 * What `is:mine` asks: whether a task waits for the reader, or is theirs.
 * @param {import("../client/index.js").TaskSummary} task
 */
function isMine(task) {
  return waitsForMe(task, relay.me) || (task.creator !== undefined && task.creator === sub());
}
