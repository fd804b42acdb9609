// @ts-check
// The texts of the page in German.

/** @type {import("../language.js").Texts} */
export const de = {
  // Header
  "title": "Aufgaben",
  "filter": "Aufgaben filtern",
  "filters": "Nur anzeigen",
  "keys": "Tasten",

  // List
  "list": "Aufgaben",
  "list.clear-filter": "Filter löschen",
  "list.reconnect": "Neu verbinden",

  // Open task
  "task": "Geöffnete Aufgabe",
  "task.back": "Zurück zur Liste",
  "task.close": "Aufgabe schließen",
  "task.created": "erstellt",
  "task.what-failed": "Was fehlgeschlagen ist",
  "task.redacted": "Ein Geheimnis, das vor dem Senden entfernt wurde",
  "task.issue": "Issue",
  "task.pull-request": "Pull Request",
  "copy.copied": "Kopiert",
  "copy.failed": "Nicht kopiert",
  "copy.selected": "Markiert",

  // Stages and steps
  "stage.created": "Erstellt",
  "stage.analyzing": "In Analyse",
  "stage.questions": "Rückfragen",
  "stage.dispatched": "Übergeben",
  "stage.review": "Zur Prüfung",
  "stage.done": "Übernommen",
  "stage.failed": "Fehlgeschlagen",
  "step.created": "Erstellt",
  "step.analyzing": "Analyse",
  "step.dispatched": "Übergeben",
  "step.review": "Prüfung",
  "step.merged": "Übernommen",

  // Durations
  "duration.second": "{count} s",
  "duration.minute": "{count} min",
  "duration.hour": "{count} h",
  "duration.day": "{count} Tg.",

  // Texts of documents
  "copy": "Kopieren",
  "copied": "Kopiert",
  "copy.selected": "Markiert",
  "copy.digest": "{digest} vollständig kopieren",
  "block": "Technischer Text",
  "block.unfold": { one: "Die eine Zeile anzeigen", other: "Alle {count} Zeilen anzeigen" },
  "block.fold": "12 Zeilen anzeigen",

  // Timeline
  "timeline": "Verlauf",
  "timeline.empty": "Noch keine Ereignisse. Sie erscheinen hier, sobald sie geschrieben werden.",
  "timeline.data": "Daten",

  // Connection
  "connection": "Verbindung",
  "connection.connecting": "Verbindet",
  "connection.try-now": "Jetzt versuchen",
  "connection.connect-now": "Jetzt verbinden",
  "connection.last-message": "Letzte Nachricht",
  "connection.delay": "Von der Datenbank zur Seite",
  "connection.transport": "Übertragung",
  "connection.reconnects": "Neue Verbindungen",
  "connection.signed-in-as": "Angemeldet als",
  "notify": "Mich benachrichtigen, wenn eine Aufgabe mich braucht",
  "notify.denied": "Dieser Browser erlaubt keine Benachrichtigungen von dieser Seite.",

  // Keys
  "keys.next": "Nächste Aufgabe",
  "keys.previous": "Vorige Aufgabe",
  "keys.open": "Aufgabe öffnen",
  "keys.end": "Neuestes Ereignis der geöffneten Aufgabe",
  "keys.filter": "Filtern",
  "keys.leave": "Filter löschen, Aufgabe schließen",
  "keys.help": "Diese Tasten",
  "keys.close": "Schließen",
};
