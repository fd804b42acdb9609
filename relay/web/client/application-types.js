// @ts-check
// What an application says about its own types, as in `connect<{ events: MyEvents }>(…)`. Only types.

/** @typedef {import("./messages.js").AnyEvents} AnyEvents */

/**
 * `events`: the data of each type of event, as in `{note: {text: string}, built: {version: number}}`. It is the
 * application's promise about what its writers write: nothing checks it when an event arrives.
 * @typedef {{events?: object}} ApplicationTypes
 */

/**
 * The events of these types; events of any type where an application names none.
 * @template {ApplicationTypes} T
 * @typedef {T extends {events: infer E} ? E : AnyEvents} EventsOf
 */

export {};
