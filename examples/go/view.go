package main

import (
	"encoding/json"
	"os"

	"github.com/gorilla/websocket"

	"example.com/follow/relay"
)

// view is what this client shows: the list, and the events of one task with the position after them.
type view struct {
	task   string
	events []*relay.Event
	head   string
	tasks  map[string]relay.TaskSummary
}

func newView(task string) *view {
	return &view{task: task, events: []*relay.Event{}, tasks: map[string]relay.TaskSummary{}}
}

// join asks for the task, from the position that this client holds (PROTOCOL.md 6.2).
func (v *view) join(ws *websocket.Conn) {
	from := relay.TaskPosition{TaskID: v.task}
	if v.head != "" {
		held := int64(len(v.events))
		from.Since, from.Head = &held, &v.head
	}
	send(ws, relay.TypeTaskJoin, from)
}

// apply changes the view as a message says. It returns false for an event that is not the next one.
func (v *view) apply(message relay.Message) bool {
	switch message.Type {
	case relay.TypeDashboardState:
		page := decode[relay.DashboardState](message)
		if page.Reset {
			v.tasks = map[string]relay.TaskSummary{}
		}
		for _, task := range page.Tasks {
			v.tasks[task.TaskID] = task
		}
	case relay.TypeDashboardTaskListUpdated:
		if change := decode[relay.ListRemoved](message); change.Change != "upserted" {
			delete(v.tasks, change.TaskID)
		} else {
			task := decode[relay.TaskSummary](message)
			v.tasks[task.TaskID] = task
		}
	case relay.TypeTaskState:
		page := decode[relay.TaskState](message)
		if page.From > int64(len(v.events)) {
			v.events, v.head = v.events[:0], ""
			return false
		}
		v.events, v.head = append(v.events[:page.From], page.Events...), page.Head
	case relay.TypeTaskEventAdded:
		added := decode[relay.EventAdded](message)
		if added.Index != int64(len(v.events)) {
			return false
		}
		v.events, v.head = append(v.events, added.Event), added.Head
	case relay.TypeTaskDeleted, relay.TypeTaskRevoked:
		v.events, v.head = []*relay.Event{}, ""
	}
	return true
}

// print writes what this client shows as one line of JSON.
func (v *view) print() {
	tasks := make([]relay.TaskSummary, 0, len(v.tasks))
	for _, task := range v.tasks {
		tasks = append(tasks, task)
	}
	_ = json.NewEncoder(os.Stdout).Encode(map[string]any{"events": v.events, "tasks": tasks})
}
