/**
 * The section of a task in the list of this user.
 * @param {TaskSummary} task
 * @param {Me} me
 * @returns {Section}
 */
export function sectionOf(task: TaskSummary, me: Me): Section;
/**
 * Whether a task that waits or has failed waits for this user. Of a task for which the relay names nobody, as where
 * `[needs]` is switched off, it is the creator.
 * @param {TaskSummary} task
 * @param {Me} me
 */
export function waitsForMe({ waitsFor, creator }: TaskSummary, me: Me): boolean;
/** @typedef {import("../client/messages.js").TaskSummary} TaskSummary */
/** @typedef {import("./stages.js").ShownStage} ShownStage */
/**
 * The values that each claim of a user has, as in `relay.me`. Only claims that the mapping's `[needs]` names are here.
 * @typedef {{readonly [claim: string]: readonly string[]}} Me
 */
/** @typedef {"needs-me" | "needs-others" | "in-progress" | "failed" | "completed"} Section */
/** @type {Section[]} In the order of the page. */
export const SECTIONS: Section[];
import type { TaskSummary } from "../client/messages.js";
export type { TaskSummary };
import type { ShownStage } from "./stages.js";
export type { ShownStage };
/**
 * The values that each claim of a user has, as in `relay.me`. Only claims that the mapping's `[needs]` names are here.
 */
export type Me = {
    readonly [claim: string]: readonly string[];
};
export type Section = "needs-me" | "needs-others" | "in-progress" | "failed" | "completed";
