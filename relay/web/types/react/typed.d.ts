/** @typedef {import("../client/index.js").ApplicationTypes} ApplicationTypes */
/** @typedef {import("../client/index.js").MessageType} MessageType */
/**
 * @template {ApplicationTypes} T
 * @typedef {import("../client/index.js").EventsOf<T>} EventsOf
 */
/**
 * @template {ApplicationTypes} T
 * @typedef {import("./snapshots.js").TaskSnapshot<EventsOf<T>>} TypedTask
 */
/**
 * `useTaskSubscription`, `useMessage` and `useRelay`, for an application that names its events.
 * @template {ApplicationTypes} T
 * @typedef {object} TypedHooks
 * @property {<S = TypedTask<T>>(taskId: string | null | undefined, select?: (task: TypedTask<T>) => S) => S}
 *   useTaskSubscription
 * @property {<K extends MessageType>(
 *   type: K,
 *   listener: (
 *     data: import("../client/index.js").MessageData<K, EventsOf<T>>,
 *     message: import("../client/index.js").MessageOf<K, EventsOf<T>>,
 *   ) => void,
 * ) => void} useMessage
 * @property {() => import("../client/index.js").Relay<T> | null} useRelay
 */
/**
 * The same hooks, typed: `const { useTaskSubscription } = typedHooks<{ events: MyEvents }>();`. Call it once, in a module.
 * @template {ApplicationTypes} T
 * @returns {TypedHooks<T>}
 */
export function typedHooks<T extends ApplicationTypes>(): TypedHooks<T>;
import type { ApplicationTypes } from "../client/index.js";
export type { ApplicationTypes };
import type { MessageType } from "../client/index.js";
export type { MessageType };
import type { EventsOf } from "../client/index.js";
export type { EventsOf };
export type TypedTask<T extends ApplicationTypes> = import("./snapshots.js").TaskSnapshot<EventsOf<T>>;
/**
 * `useTaskSubscription`, `useMessage` and `useRelay`, for an application that names its events.
 */
export type TypedHooks<T extends ApplicationTypes> = {
    useTaskSubscription: <S = TypedTask<T>>(taskId: string | null | undefined, select?: (task: TypedTask<T>) => S) => S;
    useMessage: <K extends MessageType>(type: K, listener: (data: import("../client/index.js").MessageData<K, EventsOf<T>>, message: import("../client/index.js").MessageOf<K, EventsOf<T>>) => void) => void;
    useRelay: () => import("../client/index.js").Relay<T> | null;
};
