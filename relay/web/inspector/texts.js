// @ts-check
// The words of the panel, in each of its languages. Pure.

/** @typedef {typeof en} Texts */

export const en = {
  title: "Connection",
  close: "Close",
  copy: "Copy as a report",
  copied: "Copied",
  notCopied: "This browser copies nothing here. Copy the report by hand:",
  report: "Report",
  state: "State",
  next: "Next attempt",
  transport: "Transport",
  none: "none",
  heard: "Last message",
  received: "Messages received",
  delay: "Database to page",
  reconnects: "Reconnects",
  issued: "Token issued",
  expires: "Token ends",
  rooms: "Joined",
  room: "Task",
  list: "the list",
  phase: "Phase",
  held: "Held",
  position: "Position",
  statuses: "History",
  messages: "Messages",
  time: "Time",
  reason: "Reason",
  code: "Code",
  type: "Type",
  size: "Size",
  notConnected: "There is no connection.",
};

/** @type {Texts} */
export const de = {
  title: "Verbindung",
  close: "Schließen",
  copy: "Als Bericht kopieren",
  copied: "Kopiert",
  notCopied: "Dieser Browser kopiert hier nichts. Kopieren Sie den Bericht von Hand:",
  report: "Bericht",
  state: "Zustand",
  next: "Nächster Versuch",
  transport: "Übertragung",
  none: "keine",
  heard: "Letzte Nachricht",
  received: "Empfangene Nachrichten",
  delay: "Von der Datenbank zur Seite",
  reconnects: "Neue Verbindungen",
  issued: "Token ausgestellt",
  expires: "Token endet",
  rooms: "Beigetreten",
  room: "Aufgabe",
  list: "die Liste",
  phase: "Phase",
  held: "Vorhanden",
  position: "Position",
  statuses: "Verlauf",
  messages: "Nachrichten",
  time: "Zeit",
  reason: "Grund",
  code: "Code",
  type: "Typ",
  size: "Größe",
  notConnected: "Es gibt keine Verbindung.",
};

/**
 * The words of a language; English where it has none here.
 * @param {string} lang as in the attribute `lang` of HTML
 */
export function textsOf(lang) {
  return /^de\b/i.test(lang) ? de : en;
}
