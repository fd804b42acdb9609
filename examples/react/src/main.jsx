// Signs in, and gives the whole application one connection.

import { StrictMode, useSyncExternalStore } from "react";
import { createRoot } from "react-dom/client";
import { RelayProvider } from "task-relay-client/react";
import { App } from "./App.jsx";
import { onSignIn, signIn, token, visit } from "./session.js";
import "./style.css";

const url = import.meta.env.VITE_RELAY_URL ?? "http://127.0.0.1:8080/ws";

function Root() {
  // A new key for each sign-in: then nothing of the last user stays.
  const key = useSyncExternalStore(onSignIn, visit);
  return (
    <RelayProvider key={key} url={url} token={token}>
      <App />
    </RelayProvider>
  );
}

signIn();
createRoot(document.getElementById("root")).render(<StrictMode><Root /></StrictMode>);
