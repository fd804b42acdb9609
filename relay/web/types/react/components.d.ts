/** @typedef {import("react").ComponentProps<"div">} DivProps */
/**
 * Shows the state of the connection and its reason; while it is not connected, also a countdown to the next attempt and
 * a button to try now.
 *
 * Takes the properties of a `div`. Its parts have the classes `.relay-connection-state`, `-reason`, `-countdown` and
 * `-retry`; the attribute `data-connection` holds the state.
 * @param {DivProps} props
 * @returns {import("react").ReactElement}
 */
export function ConnectionStatus({ className, ...rest }: DivProps): import("react").ReactElement;
/**
 * Shows since when and why the page may be out of date, and what happens next. Renders no banner while the page is
 * current. Takes the properties of a `div`; the banner has the class `.relay-banner`.
 * @param {DivProps} props
 * @returns {import("react").ReactElement}
 */
export function OfflineBanner({ className, ...rest }: DivProps): import("react").ReactElement;
export type DivProps = import("react").ComponentProps<"div">;
