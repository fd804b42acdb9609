// @ts-check
// The texts of the page in German.

/** @type {import("../language.js").Texts} */
export const de = {
  // Header
  "title": "Aufgaben",
  "filters": "Nur anzeigen",
  "search": "Aufgaben suchen",
  "search.clear": "Alle Aufgaben anzeigen",
  "search.close": "Suche leeren",
  "search.nothing-found": "Nichts gefunden",
  "search.no-match": "Zu „{text}“ gibt es keine Aufgabe.",
  "search.empty-section": "Hier ist zurzeit keine Aufgabe.",
  "search.help": "Alle Wörter müssen vorkommen: in Titel, Stand, Personen, Nummern, Adressen.",
  "search.help.phrase": "diese Wörter zusammen",
  "search.help.without": "ohne dieses Wort",
  "search.help.number": "ein Issue oder ein Pull Request",
  "search.help.creator": "wer sie erstellt hat",
  "search.help.status": "wie weit sie ist",
  "search.help.mine": "von mir, oder wartet auf mich",
  "search.help.unread": "geändert, seit ich sie geöffnet hatte",
  "search.section.needs-me": "Braucht mich",
  "search.section.needs-others": "Braucht andere",
  "search.section.in-progress": "In Arbeit",
  "search.section.failed": "Fehlgeschlagen",
  "search.section.completed": "Erledigt",
  "search.short.needs-me": "Für mich",
  "search.short.needs-others": "Andere",
  "search.short.in-progress": "Aktiv",
  "search.short.failed": "Fehler",
  "search.short.completed": "Fertig",
  "keys": "Tasten",

  // List
  "list": "Aufgaben",
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

  // Notifications
  "notify.untitled": "Ohne Titel",
  "notify.questions": "Hat Fragen an Sie.",
  "notify.review": "Wartet auf Ihre Prüfung.",
  "notify.review-of": "Pull Request {number} wartet auf Ihre Prüfung.",
  "notify.waits": "Wartet auf Sie.",
  "notify.failed": "Fehlgeschlagen.",
  "notify.many": { one: "{count} Aufgabe braucht Sie.", other: "{count} Aufgaben brauchen Sie." },

  // Screen readers
  "said.created": "„{title}“ wurde erstellt.",
  "said.analyzing": "„{title}“ wird analysiert.",
  "said.clarification_needed": "„{title}“ stellt Fragen.",
  "said.dispatched": "„{title}“ wurde übergeben.",
  "said.pr_opened": "„{title}“ kann geprüft werden.",
  "said.pr_merged": "„{title}“ wurde übernommen.",
  "said.failed": "„{title}“ ist fehlgeschlagen.",
  "said-many": { one: "{count} Aufgabe hat sich geändert.", other: "{count} Aufgaben haben sich geändert." },

  // Keys
  "keys.next": "Nächste Aufgabe",
  "keys.previous": "Vorige Aufgabe",
  "keys.open": "Aufgabe öffnen",
  "keys.end": "Neuestes Ereignis der geöffneten Aufgabe",
  "keys.search": "Suchen",
  "keys.leave": "Suche leeren, Aufgabe schließen, alle Aufgaben zeigen",
  "keys.help": "Diese Tasten",
  "keys.close": "Schließen",
};
