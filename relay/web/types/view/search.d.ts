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
export function searching({ labelOf, is }?: SearchOptions): (text: string) => Predicate;
/**
 * Whether a task matches a search, as `searching` explains. For a page of its own language or with own predicates,
 * there is `searching`.
 * @param {TaskSummary} task
 * @param {string} text every task matches ""
 */
export function matches(task: TaskSummary, text: string): boolean;
/**
 * A text without case, accents and forms of the same letter: "Straße", "STRASSE" and "strasse" are equal.
 * @param {string} text
 */
export function fold(text: string): string;
import type { TaskSummary } from "../client/messages.js";
export type { TaskSummary };
export type Predicate = (task: TaskSummary) => boolean;
/**
 * `labelOf`: the stage of a task as the page shows it, by default in English. `is`: what `is:name` asks, by its name in
 * lower case. A name that is not there is searched as text.
 */
export type SearchOptions = {
    labelOf?: ((task: TaskSummary) => string) | undefined;
    is?: ReadonlyMap<string, Predicate> | undefined;
};
/**
 * What is searched of a task, folded. `text` has one line for each part that is seen, so that no phrase matches across
 * two of them.
 */
export type Searchable = {
    text: string;
    status: string;
    creator: string;
    id: string;
};
export type Term = {
    isExcluded: boolean;
    passes: (task: TaskSummary, searchable: Searchable) => boolean;
};
