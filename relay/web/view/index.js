// @ts-check
// The words and shapes in which a page shows what the relay sends: stages, steps, texts, times. Pure.
//
//   const { stage, label } = stageOf(task);
//   badge.dataset.stage = stage;
//   badge.textContent = label;
//
// It needs the types of the client, and nothing at run time: a page may use it with another client as well.

/** @typedef {import("./payload.js").Content} Content */
/** @typedef {import("./stages.js").Section} Section */
/** @typedef {import("./stages.js").ShownStage} ShownStage */
/** @typedef {import("./stages.js").Step} Step */
/** @typedef {import("./steps.js").Reached} Reached */
/** @typedef {import("./steps.js").StepTaken} StepTaken */

export { contentOf } from "./payload.js";
export { matches } from "./search.js";
export { readable, SECTIONS, stageOf, stageOfEvent, stepOfEvent, STEPS } from "./stages.js";
export { reachedAt, stepsOf } from "./steps.js";
export { duration, parseTime } from "./time.js";
export { bannerWords, countdownWords, isSignedOut, reasonWords, sentence, stateWord, whatNext } from "./words.js";
