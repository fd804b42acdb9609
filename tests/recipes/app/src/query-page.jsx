import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { createElement as h, StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { useTasks } from "./query.jsx";

const Tasks = () => useTasks().data?.map(({ taskId, title }) => h("li", { key: taskId }, title));
const queryClient = new QueryClient();
createRoot(document.querySelector("ul")).render(
  h(StrictMode, null, h(QueryClientProvider, { client: queryClient }, h(Tasks))),
);
