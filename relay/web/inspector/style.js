// @ts-check
// The style of the panel. It is set by script and not by an attribute or an element, so a strict content security policy
// allows it. The colours are those of the system, which follow light, dark and forced colours.

const CSS = `
:host { display: block; color-scheme: inherit; }
.panel { color: CanvasText; font: 13px/18px system-ui, sans-serif; text-align: start; }
dialog.panel {
  box-sizing: border-box; width: min(760px, 100vw - 24px); max-height: calc(100dvh - 24px); padding: 16px;
  overflow: auto; border: 1px solid GrayText; border-radius: 10px; background: Canvas; color-scheme: light dark;
}
dialog::backdrop { background: rgb(0 0 0 / .35); }
header { display: flex; flex-wrap: wrap; gap: 8px; align-items: center; }
h2, h3 { margin: 0; font-size: 15px; line-height: 20px; }
h2 { flex: 1; }
h3 { margin-top: 16px; font-size: 13px; }
button { min-height: 32px; padding: 4px 12px; font: inherit; cursor: pointer; }
button:focus-visible, textarea:focus-visible, .scroll:focus-visible { outline: 2px solid; outline-offset: 2px; }
.why { margin: 8px 0 0; }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: 2px 16px; margin: 12px 0 0; }
dd { margin: 0; overflow-wrap: anywhere; }
.scroll { max-height: 240px; margin-top: 4px; overflow: auto; }
table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; }
th { position: sticky; top: 0; background: Canvas; font-weight: 600; }
th, td { padding: 2px 12px 2px 0; border-bottom: 1px solid color-mix(in srgb, GrayText 40%, transparent); text-align: start; vertical-align: top; }
td { overflow-wrap: anywhere; }
textarea { box-sizing: border-box; width: 100%; height: 160px; font: 12px/16px ui-monospace, monospace; }
[hidden] { display: none; }
`;

/** @param {ShadowRoot} root */
export function addStyle(root) {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(CSS);
  root.adoptedStyleSheets = [sheet];
}
