/** @typedef {import("react").ComponentProps<"div">} DivProps */
/**
 * The state, the reason if there is one, and while it is not connected, when the next try comes and
 * a button not to wait for it. Takes the properties of a `div`; its parts are
 * `.relay-connection-state`, `-reason`, `-countdown` and `-retry`, and its `data-connection` is the
 * state.
 * @param {DivProps} props
 * @returns {import("react").ReactElement}
 */
export function ConnectionStatus({ className, ...rest }: DivProps): import("react").ReactElement;
/**
 * While what is shown may be out of date: since when and why, and what happens next. Takes the
 * properties of a `div`; the banner itself is `.relay-banner`, and there is none while all is well.
 * @param {DivProps} props
 * @returns {import("react").ReactElement}
 */
export function OfflineBanner({ className, ...rest }: DivProps): import("react").ReactElement;
export type DivProps = import("react").ComponentProps<"div">;
