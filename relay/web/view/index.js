// @ts-check
// What a page needs to show tasks and connections to people: stages, steps, texts, times, words. Pure.
//
//   const { stage, label } = stageOf(task);
//   badge.dataset.stage = stage;
//   badge.textContent = label;
//
// It imports only types of the client, so a page may use it with another client as well.

/** @typedef {import("./actions.js").Action} Action */
/** @typedef {import("./links.js").Part} Part */
/** @typedef {import("./outline.js").Kind} Kind */
/** @typedef {import("./outline.js").Line} Line */
/** @typedef {import("./outline.js").Run} Run */
/** @typedef {import("./payload.js").Content} Content */
/** @typedef {import("./search.js").Predicate} Predicate */
/** @typedef {import("./search.js").SearchOptions} SearchOptions */
/** @typedef {import("./sections.js").Me} Me */
/** @typedef {import("./sections.js").Section} Section */
/** @typedef {import("./stages.js").ShownStage} ShownStage */
/** @typedef {import("./stages.js").Step} Step */
/** @typedef {import("./steps.js").Reached} Reached */
/** @typedef {import("./steps.js").StepTaken} StepTaken */

export { actionOf } from "./actions.js";
export { filled } from "./link-templates.js";
export { partsOf } from "./links.js";
export { occurrencesIn } from "./occurrences.js";
export { isNotable, kindOf, Outline } from "./outline.js";
export { contentOf, failureIn, textsIn, wholeError } from "./payload.js";
export { fold, matches, searching } from "./search.js";
export { SECTIONS, sectionOf, waitsForMe } from "./sections.js";
export { readable, stageOf, stageOfEvent, stepOfEvent, STEPS } from "./stages.js";
export { enteredAt, enteredByEvents, reachedAt, stepsOf } from "./steps.js";
export { duration, inLargestUnit, parseTime } from "./time.js";
export { visible } from "./visible.js";
export { webAddress } from "./web-address.js";
export {
  bannerWords, countdownWords, isDisconnected, isSignedOut, reasonWords, sentence, stateName, stateWord, whatNext,
} from "./words.js";
