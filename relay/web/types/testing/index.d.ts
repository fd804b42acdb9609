/**
 * Makes a relay that runs inside of the test. In TypeScript, `fakeRelay<{ events: MyEvents }>(…)` types what events hold.
 * Throws as `add` does.
 * @template {ApplicationTypes} [T=ApplicationTypes]
 * @param {FakeRelayOptions<T>} [options]
 * @returns {FakeRelay<T>}
 */
export function fakeRelay<T extends ApplicationTypes = import("../client/application-types.js").ApplicationTypes>(options?: FakeRelayOptions<T>): FakeRelay<T>;
/**
 * Every method that changes something takes effect at once, is sent to the clients in microtasks, and returns
 * `settled()`. A wrong call throws at once, and changes nothing.
 * @template {ApplicationTypes} [T=ApplicationTypes]
 */
export class FakeRelay<T extends ApplicationTypes = import("../client/application-types.js").ApplicationTypes> {
    /** @param {FakeRelayOptions<T>} [options] */
    constructor({ tasks, me }?: FakeRelayOptions<T>);
    /**
     * What `connect` and `RelayProvider` take to reach this relay, as in `<RelayProvider {...fake.options}>`.
     * @readonly
     */
    readonly options: {
        url: string;
        token: () => string | null;
        host: import("../client/host.js").Host;
    };
    /** What `connect` returns: a client that is connected to this relay. The same one at each time. */
    get relay(): Relay<T>;
    /** Another client of this relay. @returns {Relay<T>} */
    connect(): Relay<T>;
    /** What the clients have joined now: to test that an application leaves what it no longer shows. */
    get joined(): {
        list: boolean;
        tasks: string[];
    };
    /**
     * Appends an event to a task and, in the same change, sets fields of its summary, as writers do. Throws if there is no
     * such task, or if the event has no `type`.
     * @param {string} taskId
     * @param {WrittenEvent<EventsOf<T>>} event
     * @param {TaskFields} [fields]
     */
    push(taskId: string, event: WrittenEvent<EventsOf<T>>, fields?: TaskFields): Promise<void>;
    /**
     * Sets fields of a task's summary; undefined removes one. Another status sends its lifecycle message
     * (`task:pr_opened`), as with the relay's default mapping. Throws if there is no such task or field.
     * @param {string} taskId
     * @param {TaskFields} fields
     */
    set(taskId: string, fields: TaskFields): Promise<void>;
    /**
     * Adds a task. Throws if it has no `taskId`, if there is one with this id, or if an event has no `type`.
     * @param {GivenTask<EventsOf<T>>} task
     */
    add(task: GivenTask<EventsOf<T>>): Promise<void>;
    /** Deletes a task. @param {string} taskId */
    remove(taskId: string): Promise<void>;
    /** Takes the right to see a task from the user. @param {string} taskId */
    revoke(taskId: string): Promise<void>;
    /** Gives back the right to see a task. @param {string} taskId */
    grant(taskId: string): Promise<void>;
    /**
     * Closes every connection with this code of PROTOCOL.md section 7. The client does what that code says: after 1011 it
     * comes back with a pause (`advance`), after 4401 and 4403 with another token (`signIn`), after 4502 it rests
     * (`relay.retry()`). A later connection is accepted.
     * @param {number} [code]
     * @param {string} [reason]
     */
    fail(code?: number, reason?: string): Promise<void>;
    /**
     * Answers the next join, of the list or of tasks, with this error. `unavailable`, `rate_limited` and `internal` are
     * temporary: the client joins again after one second (`advance`).
     * @param {ErrorCode} code
     */
    failNextJoin(code: ErrorCode): Promise<void>;
    /** Takes the network away: connections end, and no other one gets through. */
    offline(): Promise<void>;
    /** Brings the network back. The clients come back at once, and get what they missed. */
    online(): Promise<void>;
    /**
     * Says that the relay has lost the database, or is behind it.
     * @param {number} [lagMs] by how much
     */
    stale(lagMs?: number): Promise<void>;
    /** Says that the relay is current again, after `stale`. */
    live(): Promise<void>;
    /**
     * Signs a user in: the token function returns a token of this user. Connections of another user end, and come back as
     * this one; the same user gets these claims.
     * @param {User} me
     */
    signIn(me: User): Promise<void>;
    /** Signs the user out: connections end, and the token function returns null. */
    signOut(): Promise<void>;
    /**
     * Lets time pass for the clients, so that their attempts to reconnect and their pauses come due. Time does not pass by
     * itself, and this clock is independent of fake timers.
     * @param {number} ms
     * @returns {Promise<void>}
     */
    advance(ms: number): Promise<void>;
    /**
     * Resolves when everything that was sent has arrived and nothing happens by itself any more. It waits for microtasks
     * only, so it works with fake timers.
     * @returns {Promise<void>}
     */
    settled(): Promise<void>;
    /** Closes the clients that `relay` and `connect` made. A test need not do that: nothing keeps the process alive. */
    close(): Promise<void>;
    #private;
}
import type { ApplicationTypes } from "../client/application-types.js";
export type { ApplicationTypes };
import type { AnyEvents } from "../client/messages.js";
export type { AnyEvents };
import type { ErrorCode } from "../client/messages.js";
export type { ErrorCode };
import type { Claims } from "../client/transports/transport.js";
export type { Claims };
import type { TaskFields } from "./tasks.js";
export type { TaskFields };
import type { EventsOf } from "../client/application-types.js";
export type { EventsOf };
import type { GivenTask } from "./tasks.js";
export type { GivenTask };
import type { WrittenEvent } from "./tasks.js";
export type { WrittenEvent };
/**
 * A user: the `sub` of the token, or `sub` and other claims, as in `{sub: "alice", teams: ["red"]}`.
 */
export type User = string | ({
    sub: string;
} & {
    [claim: string]: string | readonly string[];
});
export type FakeRelayOptions<T extends ApplicationTypes = import("../client/application-types.js").ApplicationTypes> = {
    /**
     * the tasks, oldest first
     */
    tasks?: readonly GivenTask<import("../client/application-types.js").EventsOf<T>>[] | undefined;
    /**
     * who is signed in: "alice" where nothing is said, nobody where it is null
     */
    me?: User | null | undefined;
};
export type SignedIn = {
    sub: string;
    claims: Claims;
    token: string;
};
import { Relay } from "../client/index.js";
