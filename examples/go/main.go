// Command follow keeps the list of tasks and the events of one task current, and prints both after each change.
//
//	follow WEBSOCKET_URL TOKEN_URL TASK
//
// This file decides when to connect; conversation.go is what happens on one connection.
package main

import (
	"io"
	"math/rand"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/gorilla/websocket"
)

const (
	backoffBase  = 500 * time.Millisecond
	backoffCap   = 20 * time.Second
	patientBase  = time.Second // where somebody has to mend something first
	patientCap   = 30 * time.Second
	healthyAfter = 10 * time.Second // a connection that lasted so long resets the backoff
)

func main() {
	rand.Seed(time.Now().UnixNano())
	url, tokenURL := os.Args[1], os.Args[2]
	shown := newView(os.Args[3])
	failures, refused := 0, "" // refused: a token that is not brought again
	for {
		token, err := fetch(tokenURL)
		if err != nil || token == "" || token == refused {
			failures++
			time.Sleep(patient(failures))
			continue
		}
		began := time.Now()
		end := converse(url, token, tokenURL, shown)
		if time.Since(began) > healthyAfter {
			failures = 0
		}
		failures++
		switch wait, verdict := judge(end, failures); verdict {
		case stayAway:
			select {} // coming back cannot help
		case otherToken:
			refused = token
			if failures > 1 {
				time.Sleep(patient(failures))
			}
		default:
			time.Sleep(wait)
		}
	}
}

type verdict int

const (
	comeBack verdict = iota
	otherToken
	stayAway
)

// judge says what follows the end of a connection (PROTOCOL.md 7), and how long to wait before coming back.
func judge(end ending, failures int) (time.Duration, verdict) {
	switch code := end.code; {
	case code == 4401 || code == 4403:
		return 0, otherToken
	case code == 4429:
		ms, _ := strconv.Atoi(strings.TrimPrefix(end.reason, "rate_limited:"))
		return time.Duration(ms)*time.Millisecond + jitter(1), comeBack
	case code == websocket.CloseGoingAway && end.drain > 0:
		return end.drain, comeBack
	case code >= 4500, code == websocket.CloseNormalClosure, code == 1003, code >= 1007 && code <= 1009:
		return 0, stayAway
	}
	return jitter(failures), comeBack
}

// jitter returns a pause between 0 and a bound that doubles with each failure in a row.
func jitter(failures int) time.Duration {
	return time.Duration(rand.Float64() * float64(bound(backoffBase, backoffCap, failures)))
}

// patient returns a pause between half of such a bound and all of it.
func patient(failures int) time.Duration {
	return time.Duration((1 + rand.Float64()) / 2 * float64(bound(patientBase, patientCap, failures)))
}

func bound(base, limit time.Duration, failures int) time.Duration {
	for ; failures > 1 && base < limit; failures-- {
		base *= 2
	}
	if base > limit {
		return limit
	}
	return base
}

// fetch gets a token from the application.
func fetch(url string) (string, error) {
	client := http.Client{Timeout: 15 * time.Second}
	response, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	token, err := io.ReadAll(io.LimitReader(response.Body, 65536))
	return strings.TrimSpace(string(token)), err
}
