/** @param {unknown} listener */
export function mustBeCallable(listener: unknown): void;
/** @typedef {() => void} Unsubscribe */
/** @template T */
export class Listeners<T> {
    /**
     * Throws a TypeError for what is no function: called with a message, it would fail far from the mistake.
     * @param {(value: T) => void} listener
     * @returns {Unsubscribe}
     */
    add(listener: (value: T) => void): Unsubscribe;
    /**
     * Calls every listener.
     * @param {T} value
     */
    emit(value: T): void;
    #private;
}
export type Unsubscribe = () => void;
