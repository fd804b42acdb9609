// What a library exports without naming its types: each has to have a name that the package exports.

import { connect } from "task-relay-client";
import {
  typedHooks, useDashboardSubscription, useMe, useOfflineDetection, useRelay, useTasks, useTaskSubscription, useWebSocket,
} from "task-relay-client/react";
import { useTaskSubscription as useLoadedTask } from "task-relay-client/react/suspense";
import { fakeRelay } from "task-relay-client/testing";
import { contentOf, Outline, partsOf, reachedAt, sectionOf, stageOf, stepsOf } from "task-relay-client/view";

export interface MyEvents { note: { text: string } }

export const relay = connect<{ events: MyEvents }>({ url: "/ws", token: () => null });
export const list = relay.joinDashboard();
export const selection = list.select({ limit: 1 });
export const timeline = relay.joinTask("t1");
export const [tasks, events, report, status, me] = [list.tasks, timeline.events, relay.debug(), relay.status, relay.me];
export const fake = fakeRelay<{ events: MyEvents }>();

export const hooks = typedHooks<{ events: MyEvents }>();
export const useFailed = () => useTasks({ where: ({ stage }) => stage === "failed" }).tasks;
export const useAll = () => [useDashboardSubscription(), useTaskSubscription("t1"), useLoadedTask("t1").events] as const;
export const useConnection = () => [useMe(), useOfflineDetection(), useRelay(), useWebSocket()] as const;

export const steps = stepsOf(list.tasks[0]!, reachedAt(list.tasks[0]!, events), 0);
export const [stage, section] = [stageOf(list.tasks[0]!), sectionOf(list.tasks[0]!, me)];
export const [content, parts, outline] = [contentOf({}), partsOf(""), new Outline()];

// What only the client itself calls is not offered.
// @ts-expect-error
timeline.append;
// @ts-expect-error
list.update;
