import type { AnyEvents } from "./messages.js";
export type { AnyEvents };
/**
 * `events`: the data of each type of event, as in `{note: {text: string}, built: {version: number}}`. It is the
 * application's promise about what its writers write: nothing checks it when an event arrives.
 */
export type ApplicationTypes = {
    events?: object;
};
/**
 * The events of these types; events of any type where an application names none.
 */
export type EventsOf<T extends ApplicationTypes> = T extends {
    events: infer E;
} ? E : AnyEvents;
