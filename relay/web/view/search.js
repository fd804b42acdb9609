// @ts-check
// Searches tasks by what is seen of them: words, "phrases", -exclusions, and fields such as `creator:bob`. Pure.

import { readable, stageOf } from "./stages.js";

/** @typedef {import("../client/messages.js").TaskSummary} TaskSummary */
/** @typedef {(task: TaskSummary) => boolean} Predicate */
/**
 * `labelOf`: the stage of a task as the page shows it, by default in English. `is`: what `is:name` asks, by its name in
 * lower case. A name that is not there is searched as text.
 * @typedef {object} SearchOptions
 * @property {(task: TaskSummary) => string} [labelOf]
 * @property {ReadonlyMap<string, Predicate>} [is]
 */
/**
 * What is searched of a task, folded. `text` has one line for each part that is seen, so that no phrase matches across
 * two of them.
 * @typedef {{text: string, status: string, creator: string, id: string}} Searchable
 */
/** @typedef {{isExcluded: boolean, passes: (task: TaskSummary, searchable: Searchable) => boolean}} Term */

// One term: `-` excludes, `key:` names a field, and then comes a phrase in quotes or a word. Phones write curly quotes.
// A quote that is not closed yet reaches to the end, so that the list does not jump while a phrase is typed.
const TERM = /(?<not>-)?(?:(?<key>[a-z]+):)?(?:["“”„](?<phrase>[^"“”„]*)(?:["“”„]|$)|(?<word>\S+))/gui;
const FIELDS = new Set(["status", "creator", "is"]);
// Ids that a machine made. Any short word of hexadecimal digits is in many of them, so only a longer part finds one.
const OPAQUE_ID = /^(?:[0-9a-f]{24}|[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12})$/;
const ID_PART_CHARACTERS = 6;
const SEVERAL_BLANKS = /\s\s|[^\S ]|^ | $/;
const ASCII = /^[\0-\x7f]*$/;
const UNSEEN = /\p{Default_Ignorable_Code_Point}/gu; // zero-width characters and soft hyphens, which nobody can type
const ACCENTS = /[\u0300-\u036f\u0591-\u05c7\u064b-\u065f\u0670]/g; // of Latin, Greek, Cyrillic, Hebrew and Arabic
/** @type {ReadonlyMap<string, string>} Letters that Unicode does not take apart, as people type them. */
const LETTERS = new Map(Object.entries({
  ß: "ss", ı: "i", ø: "o", ł: "l", đ: "d", ð: "d", þ: "th", æ: "ae", œ: "oe", ς: "σ", "’": "'",
}));
const OTHER_LETTERS = new RegExp(`[${[...LETTERS.keys()].join("")}]`, "g");

/**
 * Prepares to search. What it returns reads a text and gives the function that says whether a task matches. It keeps
 * the folded text of every summary, so searching the same tasks again while somebody types costs little.
 *
 * - All words have to match, anywhere in what is seen: title, stage, status, creator, addresses, numbers, whom the task
 *   waits for, id. Case and accents do not matter.
 * - `12` finds numbers that begin with 12, `#12` only the number 12. An id of an ObjectId or UUID is found by six
 *   characters of it or more.
 * - `"two words"` is a phrase, `-word` excludes. A quote at the end may be missing.
 * - `status:failed` and `creator:bob` look for the beginning of a word in that field, `creator:"bob"` for the whole of
 *   it. `is:name` asks the predicate of that name. Any other `key:word` is a word.
 * @param {SearchOptions} [options]
 * @returns {(text: string) => Predicate}
 */
export function searching({ labelOf = (task) => stageOf(task).label, is = new Map() } = {}) {
  /** @type {WeakMap<TaskSummary, Searchable>} */
  const known = new WeakMap();
  /** @param {TaskSummary} task */
  const searchableOf = (task) => {
    let searchable = known.get(task);
    if (!searchable) known.set(task, (searchable = folded(task, labelOf(task))));
    return searchable;
  };
  return (text) => {
    const terms = [...text.matchAll(TERM)].flatMap((found) => termOf(found.groups ?? {}, is) ?? []);
    if (terms.length === 0) return () => true;
    return (task) => {
      const searchable = searchableOf(task);
      return terms.every(({ isExcluded, passes }) => passes(task, searchable) !== isExcluded);
    };
  };
}

const searchInEnglish = searching();
let last = { text: "", passes: searchInEnglish("") };

/**
 * Whether a task matches a search, as `searching` explains. For a page of its own language or with own predicates,
 * there is `searching`.
 * @param {TaskSummary} task
 * @param {string} text every task matches ""
 */
export function matches(task, text) {
  if (text !== last.text) last = { text, passes: searchInEnglish(text) };
  return last.passes(task);
}

/**
 * A text without case, accents and forms of the same letter: "Straße", "STRASSE" and "strasse" are equal.
 * @param {string} text
 */
export function fold(text) {
  if (ASCII.test(text)) return text.toLowerCase();
  return text
    .normalize("NFKD")
    .toLowerCase() // not by the language of the reader: Turkish would make another i of I
    .replace(ACCENTS, "")
    .replace(UNSEEN, "")
    .replace(OTHER_LETTERS, (letter) => LETTERS.get(letter) ?? letter)
    .normalize("NFC"); // joins what is no accent, as the syllables of Korean
}

/**
 * @param {{not?: string, key?: string, phrase?: string, word?: string}} found
 * @param {ReadonlyMap<string, Predicate>} is
 * @returns {Term | null} null where there is nothing to look for yet, as after `creator:`
 */
function termOf({ not, key: written = "", phrase, word = "" }, is) {
  const isExcluded = not !== undefined;
  const key = written.toLowerCase();
  const wanted = line(phrase ?? word);
  if (wanted === "" || (phrase === undefined && isUnfinished(word))) return null;
  const asked = key === "is" ? is.get(wanted) : undefined;
  if (asked) return { isExcluded, passes: asked };
  if (key === "status" || key === "creator") {
    const isWhole = phrase !== undefined;
    return { isExcluded, passes: (_, searchable) => has(searchable[key], wanted, isWhole) };
  }
  const text = key === "" ? wanted : `${key}:${wanted}`;
  const pattern = phrase === undefined ? numberPattern(text) : undefined;
  if (pattern) return { isExcluded, passes: (_, { text: seen, id }) => pattern.test(seen) || isPart(id, text) };
  return { isExcluded, passes: (_, { text: seen, id }) => seen.includes(text) || isPart(id, text) };
}

/**
 * Whether a word is only the beginning of a term: `-`, `creator:`, `-is:`.
 * @param {string} word
 */
function isUnfinished(word) {
  return word === "-" || (word.endsWith(":") && FIELDS.has(word.replace(/^-/, "").slice(0, -1).toLowerCase()));
}

/**
 * @param {string} values one in each line
 * @param {string} wanted
 * @param {boolean} isWhole whether one of the values has to be exactly this
 */
function has(values, wanted, isWhole) {
  if (isWhole) return `\n${values}\n`.includes(`\n${wanted}\n`);
  for (let at = values.indexOf(wanted); at >= 0; at = values.indexOf(wanted, at + 1)) {
    if (at === 0 || !/[\p{L}\p{N}]/u.test(values[at - 1])) return true;
  }
  return false;
}

/**
 * How a word that is a number is looked for; undefined for any other word.
 * @param {string} word
 */
function numberPattern(word) {
  if (/^#\d+$/.test(word)) return new RegExp(`${word}(?!\\d)`);
  return /^\d+$/.test(word) ? new RegExp(`(?<!\\d)${word}`) : undefined;
}

/**
 * @param {string} id
 * @param {string} word
 */
function isPart(id, word) {
  return id === word || (word.length >= ID_PART_CHARACTERS && id.includes(word));
}

/**
 * @param {TaskSummary} task
 * @param {string} label
 * @returns {Searchable}
 */
function folded(task, label) {
  const { taskId, title = "", creator = "", issueUrl = "", issueNumber, prUrl = "", prNumber } = task;
  const id = line(taskId);
  // In English, too: a search is passed on as a link, also to readers of another language.
  const shown = stageOf(task);
  const status = statusLines([task.status ?? "", task.stage ?? "", label, shown.label, shown.stage]);
  const numbers = [issueNumber, prNumber].map((number) => (number ? `#${number}` : ""));
  const ownId = OPAQUE_ID.test(id) ? "" : id;
  const by = once(JSON.stringify(creator), () => line(creator));
  const waitsFor = task.waitsFor ? Object.values(task.waitsFor).flat().map(line) : [];
  const text = [line(title), by, line(issueUrl), line(prUrl), ...numbers, ownId, ...waitsFor, status].join("\n");
  return { text, status, creator: by, id };
}

/** @param {string[]} names of where a task is, the status first */
function statusLines(names) {
  return once(JSON.stringify(names), () => [readable(names[0]), ...names].map(line).join("\n"));
}

/** @type {Map<string, string>} Of what many tasks have in common: creators, and statuses with their labels. */
const folds = new Map();
const FOLDS_MAX = 1000; // usually there are few; past this many the cache starts again

/**
 * @param {string} key
 * @param {() => string} make the folded text, the first time
 */
function once(key, make) {
  let text = folds.get(key);
  if (text === undefined) {
    if (folds.size >= FOLDS_MAX) folds.clear();
    folds.set(key, (text = make()));
  }
  return text;
}

/**
 * A text as one folded line.
 * @param {string} text
 */
function line(text) {
  const all = fold(text);
  return SEVERAL_BLANKS.test(all) ? all.replace(/\s+/g, " ").trim() : all;
}
