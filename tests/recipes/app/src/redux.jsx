import { createElement as h, StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { Provider, useSelector } from "react-redux";
import { store } from "./store.js";

const Tasks = () => useSelector((state) => state.tasks.all).map(({ taskId, title }) => h("li", { key: taskId }, title));
createRoot(document.querySelector("ul")).render(h(StrictMode, null, h(Provider, { store }, h(Tasks))));
