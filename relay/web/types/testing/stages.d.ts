/** @param {string} type of an event */
export function stageOfEvent(type: string): Stage | undefined;
/** @param {string | undefined} status */
export function stageOfStatus(status: string | undefined): Stage | undefined;
/** @typedef {NonNullable<import("../client/messages.js").TaskSummary["stage"]>} Stage */
/** @type {Record<Stage, readonly string[]>} */
export const EVENT_TYPES: Record<Stage, readonly string[]>;
/** @type {Record<Stage, readonly string[]>} */
export const STATUSES: Record<Stage, readonly string[]>;
/**
 * The fields of each lifecycle message, besides `taskId` and `status`.
 * @type {Record<Stage, readonly (keyof import("../client/messages.js").TaskSummary)[]>}
 */
export const LIFECYCLE_FIELDS: Record<Stage, readonly (keyof import("../client/messages.js").TaskSummary)[]>;
/** The stages in which a task waits for its creator, unless it names somebody else. */
export const WAITING: Set<string>;
export type Stage = NonNullable<import("../client/messages.js").TaskSummary["stage"]>;
