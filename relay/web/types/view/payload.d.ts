/**
 * What to show of an event.
 * @param {any} data of an event
 * @param {{isError?: boolean}} [event] `isError`: whether the type of the event means an error, so that a text of
 *   several lines is shown as a block
 * @returns {Content}
 */
export function contentOf(data: any, { isError }?: {
    isError?: boolean;
}): Content;
/**
 * The error that the data of an event has, whatever the type of the event; "" without one.
 * @param {any} data
 * @returns {string}
 */
export function faultOf(data: any): string;
/**
 * The questions in the data of an event.
 * @param {any} data
 * @returns {string[]}
 */
export function questionsOf(data: any): string[];
/**
 * All texts and numbers in the data of an event, in the order of its fields, without its type and time.
 * @param {any} data
 * @returns {string[]}
 */
export function textsIn(data: any): string[];
/**
 * What failed, where an error does not begin with it: Python says it in the last line of a traceback.
 * @param {string} error
 * @returns {string} "" where the error begins with it, and where the last line is missing because the relay cut the text
 */
export function failureIn(error: string): string;
/**
 * The whole error of a task. The relay cuts long texts of a summary and ends them with "…", or puts it in a line of its
 * own in place of the middle of a traceback; an event may have all of it.
 * @param {string} error of a summary
 * @param {readonly ({data?: any} | null)[]} events of the task
 * @returns {string} the error as it is, where no event has more of it
 */
export function wholeError(error: string, events: readonly ({
    data?: any;
} | null)[]): string;
/**
 * `text`: the text of the event. `glance`: without a text, its first fields. `more`: the data has more than these show.
 * `questions`: the questions it asks. `block`: a traceback, or an error of several lines; then `text` is what failed.
 * `bytes`: the size of data that the relay left out because it is too large, otherwise 0.
 */
export type Content = {
    text: string;
    glance: string;
    more: boolean;
    questions: string[];
    block: string;
    bytes: number;
};
