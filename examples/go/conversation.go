package main

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/gorilla/websocket"

	"example.com/follow/relay"
)

const (
	welcomeWithin = 10 * time.Second
	askAgainAfter = 2 * time.Second // for a fresh token, where there is none yet
)

// ending is how a connection ended: its close code, 1006 without one; drain is the pause that the relay asked for.
type ending struct {
	code   int
	reason string
	drain  time.Duration
}

// converse opens a connection, joins the list and the task from its position, and applies what it is sent.
func converse(url, token, tokenURL string, shown *view) ending {
	header := http.Header{"Authorization": {"Bearer " + token}}
	ws, _, err := websocket.DefaultDialer.Dial(url, header)
	if err != nil {
		return ending{code: websocket.CloseAbnormalClosure}
	}
	defer ws.Close()
	received, closed, fresh := make(chan relay.Message), make(chan error, 1), make(chan string)
	done := make(chan struct{})
	defer close(done)
	go read(ws, received, closed, done)

	end := ending{code: websocket.CloseAbnormalClosure}
	silence := welcomeWithin
	silent := time.NewTimer(silence)
	var retry <-chan time.Time
	for {
		select {
		case message := <-received:
			silent.Reset(silence)
			switch message.Type {
			case relay.TypeWelcome:
				welcome := decode[relay.Welcome](message)
				silence = milliseconds(welcome.HeartbeatMs) * 5 / 2
				silent.Reset(silence)
				send(ws, relay.TypeDashboardJoin, relay.DashboardJoin{})
				shown.join(ws)
			case relay.TypeAuthExpiring:
				go renew(token, tokenURL, fresh, done)
			case relay.TypeServerDraining:
				end.drain = milliseconds(decode[relay.Draining](message).ReconnectAfterMs)
			case relay.TypeError:
				if failed := decode[relay.Error](message); failed.Temporary {
					retry = time.After(pause(failed))
				}
			default:
				if !shown.apply(message) {
					shown.join(ws) // an event is missing or came twice (PROTOCOL.md 6.1)
				}
				shown.print()
			}
		case <-retry:
			shown.join(ws)
		case token = <-fresh:
			send(ws, relay.TypeAuth, relay.Auth{Token: token})
		case <-silent.C:
			return end
		case err := <-closed:
			if found, ok := err.(*websocket.CloseError); ok {
				end.code, end.reason = found.Code, found.Text
			}
			return end
		}
	}
}

// read passes on what arrives, and the error that ends the connection.
func read(ws *websocket.Conn, received chan<- relay.Message, closed chan<- error, done <-chan struct{}) {
	for {
		var message relay.Message
		if err := ws.ReadJSON(&message); err != nil {
			closed <- err
			return
		}
		select {
		case received <- message:
		case <-done:
			return
		}
	}
}

// renew asks for a token until there is another one than the current one.
func renew(current, tokenURL string, fresh chan<- string, done <-chan struct{}) {
	for {
		if token, err := fetch(tokenURL); err == nil && token != "" && token != current {
			select {
			case fresh <- token:
			case <-done:
			}
			return
		}
		select {
		case <-time.After(askAgainAfter):
		case <-done:
			return
		}
	}
}

// send writes a request. An error of it also ends read, which reports it.
func send(ws *websocket.Conn, kind string, data any) {
	_ = ws.WriteJSON(relay.Request{Type: kind, Data: data})
}

// decode reads the data of a message. What does not fit is left out, as what is unknown is.
func decode[T any](message relay.Message) T {
	var data T
	_ = json.Unmarshal(message.Data, &data)
	return data
}

// pause is how long to wait before what got a temporary error is sent again.
func pause(failed relay.Error) time.Duration {
	if failed.RetryAfterMs != nil {
		return milliseconds(*failed.RetryAfterMs)
	}
	return askAgainAfter
}

func milliseconds(count int64) time.Duration {
	return time.Duration(count) * time.Millisecond
}
