package lsp_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/deckhand-engine/deckhand/guard/lsp"
)

// wire speaks the protocol byte by byte, to say what no library would.
type wire struct {
	net.Conn
	r      *bufio.Reader
	served chan error
}

func dial(t *testing.T) *wire {
	t.Helper()
	conn, served := serve(t, options(newChecker()))
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return &wire{conn, bufio.NewReader(conn), served}
}

func (w *wire) send(t *testing.T, body string) {
	t.Helper()
	if _, err := fmt.Fprintf(w, "Content-Length: %d\r\n\r\n%s", len(body), body); err != nil {
		t.Fatal(err)
	}
}

// receive reads the next message.
func (w *wire) receive(t *testing.T) string {
	t.Helper()
	header, err := textproto.NewReader(w.r).ReadMIMEHeader()
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(header.Get("Content-Length"))
	if err != nil {
		t.Fatal(err)
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(w.r, body); err != nil {
		t.Fatal(err)
	}
	return string(body)
}

const initialize = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"processId":null,"rootUri":null,"capabilities":{}}}`

// initialized has the first messages behind it.
func initialized(t *testing.T) *wire {
	t.Helper()
	w := dial(t)
	w.send(t, initialize)
	w.receive(t)
	w.send(t, `{"jsonrpc":"2.0","method":"initialized","params":{}}`)
	return w
}

// TestErrors sends what is wrong, and then a request that must still be answered.
func TestErrors(t *testing.T) {
	const opened = `{"jsonrpc":"2.0","method":"textDocument/didOpen","params":{"textDocument":{"uri":"file:///Dockerfile","languageId":"dockerfile","version":1,"text":"FROM a\n"}}}`
	request := func(method, params string) string {
		return `{"jsonrpc":"2.0","id":"x","method":"` + method + `","params":` + params + `}`
	}
	tests := map[string]struct {
		body string
		id   string
		code int
	}{
		"no JSON":                  {`{"jsonrpc":`, "null", -32700},
		"nothing":                  {``, "null", -32700},
		"two messages":             {`{} {}`, "null", -32700},
		"neither":                  {`{"jsonrpc":"2.0","id":3}`, "null", -32600},
		"a batch":                  {`[` + request("shutdown", "null") + `]`, "null", -32600},
		"a string":                 {`"shutdown"`, "null", -32600},
		"a method that is no text": {`{"jsonrpc":"2.0","id":3,"method":7}`, "null", -32600},
		"an id that is no id":      {`{"jsonrpc":"2.0","id":{},"method":"shutdown"}`, "null", -32600},
		"a negative id":            {`{"jsonrpc":"2.0","id":-3,"method":"shutdown"}`, "null", -32600},
		"a broken id":              {`{"jsonrpc":"2.0","id":1.5,"method":"shutdown"}`, "null", -32600},
		"an unknown method":        {request("textDocument/definition", "{}"), `"x"`, -32601},
		"initialize again":         {request("initialize", `{"capabilities":{}}`), `"x"`, -32600},
		"no params":                {`{"jsonrpc":"2.0","id":"x","method":"textDocument/hover"}`, `"x"`, -32602},
		"params of another type":   {request("textDocument/hover", `[1]`), `"x"`, -32602},
		"no position":              {request("textDocument/hover", `{"textDocument":{"uri":"file:///Dockerfile"}}`), `"x"`, -32602},
		"a negative position":      {request("textDocument/hover", `{"textDocument":{"uri":"file:///Dockerfile"},"position":{"line":-1,"character":0}}`), `"x"`, -32602},
		"no range":                 {request("textDocument/codeAction", `{"textDocument":{"uri":"file:///Dockerfile"},"context":{}}`), `"x"`, -32602},
		"a document not open":      {request("textDocument/hover", `{"textDocument":{"uri":"file:///x"},"position":{"line":0,"character":0}}`), `"x"`, -32602},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := initialized(t)
			w.send(t, opened)
			w.receive(t)
			w.send(t, tt.body)
			var answer struct {
				ID    json.RawMessage
				Error struct{ Code int }
			}
			if body := w.receive(t); json.Unmarshal([]byte(body), &answer) != nil || string(answer.ID) != tt.id || answer.Error.Code != tt.code {
				t.Errorf("the answer is %s, want id %s and code %d", body, tt.id, tt.code)
			}
			w.send(t, request("textDocument/hover", `{"textDocument":{"uri":"file:///Dockerfile"},"position":{"line":7,"character":7}}`))
			if got, want := w.receive(t), `{"id":"x","result":null,"jsonrpc":"2.0"}`; got != want {
				t.Errorf("afterwards the answer is %s, want %s", got, want)
			}
		})
	}
}

// TestNotificationsThatMakeNoSense are survived without an answer.
func TestNotificationsThatMakeNoSense(t *testing.T) {
	tests := map[string]struct{ method, params string }{
		"unknown":                  {"workspace/didChangeConfiguration", `{"settings":null}`},
		"unknown, of the protocol": {"$/setTrace", `{"value":"off"}`},
		"open without a text":      {"textDocument/didOpen", `7`},
		"change what is not open":  {"textDocument/didChange", `{"textDocument":{"uri":"file:///x","version":2},"contentChanges":[{"text":""}]}`},
		"close what is not open":   {"textDocument/didClose", `{"textDocument":{"uri":"file:///x"}}`},
		"save what is not open":    {"textDocument/didSave", `{"textDocument":{"uri":"file:///x"}}`},
		"cancel what is not there": {"$/cancelRequest", `{"id":77}`},
		"cancel nothing":           {"$/cancelRequest", `{"id":{}}`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := initialized(t)
			w.send(t, `{"jsonrpc":"2.0","method":"`+tt.method+`","params":`+tt.params+`}`)
			w.send(t, `{"jsonrpc":"2.0","id":2,"method":"shutdown"}`)
			if got, want := w.receive(t), `{"id":2,"result":null,"jsonrpc":"2.0"}`; got != want {
				t.Errorf("shutdown is answered by %s, want %s", got, want)
			}
		})
	}
}

// TestLostText sends a change that cannot be made: the document's findings are cleared, and it is not guessed at.
func TestLostText(t *testing.T) {
	w := initialized(t)
	open := `{"jsonrpc":"2.0","method":"textDocument/didOpen","params":{"textDocument":{"uri":"file:///Dockerfile","languageId":"dockerfile","version":1,"text":"USER root\n"}}}`
	w.send(t, open)
	w.receive(t)
	w.send(t, `{"jsonrpc":"2.0","method":"textDocument/didChange","params":{"textDocument":{"uri":"file:///Dockerfile","version":2},"contentChanges":[{"range":{"start":{"line":-1,"character":0},"end":{"line":0,"character":0}},"text":"x"}]}}`)
	if got := w.receive(t); !strings.Contains(got, `"diagnostics":[]`) {
		t.Errorf("the next message is %s", got)
	}
	if got := w.receive(t); !strings.Contains(got, "window/logMessage") || !strings.Contains(got, "open it again") {
		t.Errorf("the next message is %s", got)
	}
	w.send(t, open)
	if got := w.receive(t); !strings.Contains(got, "DH003") {
		t.Errorf("the next message is %s", got)
	}
}

// TestCancelled cancels a request that waits for a check.
func TestCancelled(t *testing.T) {
	w := initialized(t)
	w.send(t, `{"jsonrpc":"2.0","method":"textDocument/didOpen","params":{"textDocument":{"uri":"file:///Dockerfile","languageId":"dockerfile","version":1,"text":"wait\n"}}}`)
	w.send(t, `{"jsonrpc":"2.0","id":"h","method":"textDocument/hover","params":{"textDocument":{"uri":"file:///Dockerfile"},"position":{"line":0,"character":0}}}`)
	w.send(t, `{"jsonrpc":"2.0","method":"$/cancelRequest","params":{"id":"h"}}`)
	if got := w.receive(t); !strings.Contains(got, `"id":"h"`) || !strings.Contains(got, `"code":-32800`) {
		t.Errorf("hover is answered by %s", got)
	}
}

func TestBeforeInitialize(t *testing.T) {
	w := dial(t)
	w.send(t, `{"jsonrpc":"2.0","method":"textDocument/didOpen","params":{"textDocument":{"uri":"file:///Dockerfile","version":1,"text":"USER root\n"}}}`)
	w.send(t, `{"jsonrpc":"2.0","id":5,"method":"shutdown"}`)
	if got := w.receive(t); !strings.Contains(got, `"code":-32002`) {
		t.Errorf("shutdown is answered by %s", got)
	}
	w.send(t, initialize)
	if got := w.receive(t); !strings.Contains(got, `"positionEncoding":"utf-16"`) {
		t.Errorf("initialize is answered by %s", got)
	}
}

// TestEnd holds what Serve returns to how the client leaves.
func TestEnd(t *testing.T) {
	const shutdown, exit = `{"jsonrpc":"2.0","id":2,"method":"shutdown"}`, `{"jsonrpc":"2.0","method":"exit"}`
	tests := map[string]struct {
		leave func(*testing.T, *wire)
		want  error
	}{
		"shutdown, exit": {func(t *testing.T, w *wire) { w.send(t, shutdown); w.receive(t); w.send(t, exit) }, nil},
		"shutdown, gone": {func(t *testing.T, w *wire) { w.send(t, shutdown); w.receive(t); closeWire(t, w) }, nil},
		"exit":           {func(t *testing.T, w *wire) { w.send(t, exit) }, lsp.ErrNoShutdown},
		"gone":           {closeWire, lsp.ErrNoShutdown},
		"gone within a header": {func(t *testing.T, w *wire) {
			if _, err := io.WriteString(w, "Content-Len"); err != nil {
				t.Fatal(err)
			}
			closeWire(t, w)
		}, io.ErrUnexpectedEOF},
		"gone within a message": {func(t *testing.T, w *wire) {
			if _, err := io.WriteString(w, "Content-Length: 100\r\n\r\n{"); err != nil {
				t.Fatal(err)
			}
			closeWire(t, w)
		}, io.ErrUnexpectedEOF},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			before := runtime.NumGoroutine()
			w := initialized(t)
			tt.leave(t, w)
			if err := await(t, w.served, "results of Serve"); !errors.Is(err, tt.want) {
				t.Errorf("Serve = %v, want %v", err, tt.want)
			}
			settled(t, before)
		})
	}
}

func closeWire(t *testing.T, w *wire) {
	t.Helper()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestHeaders sends headers that leave no way to find the next message.
func TestHeaders(t *testing.T) {
	tests := map[string]struct{ header, want string }{
		"none":     {"\r\n", "no Content-Length"},
		"negative": {"Content-Length: -1\r\n\r\n", "no length"},
		"too long": {"Content-Length: 99999999999\r\n\r\n", "no length"},
		"a word":   {"Content-Length: many\r\n\r\n", "no length"},
		"endless":  {strings.Repeat("x", 5000), "buffer full"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := dial(t)
			_, _ = io.WriteString(w, tt.header) // the server may have enough before all is written
			if err := await(t, w.served, "results of Serve"); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Serve = %v, want %q", err, tt.want)
			}
		})
	}
	w := dial(t)
	if _, err := fmt.Fprintf(w, "content-type: application/vscode-jsonrpc; charset=utf-8\ncontent-length:%d\n\n%s", len(initialize), initialize); err != nil {
		t.Fatal(err)
	}
	if got := w.receive(t); !strings.Contains(got, "serverInfo") {
		t.Errorf("a header in another spelling is answered by %s", got)
	}
}

// TestContextEnds ends a server that waits for its client.
func TestContextEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	in, _ := net.Pipe()
	served := make(chan error, 1)
	go func() { served <- lsp.Serve(ctx, in, nopWriteCloser{io.Discard}, options(newChecker())) }()
	cancel()
	if err := await(t, served, "results of Serve"); !errors.Is(err, context.Canceled) {
		t.Errorf("Serve = %v", err)
	}
}

// TestHugeDocument opens 4 MiB and edits its end.
func TestHugeDocument(t *testing.T) {
	w := initialized(t)
	const line = "RUN true # é𝄞\n"
	lines := 4 << 20 / len(line)
	text, err := json.Marshal(strings.Repeat(line, lines) + "USER root\n")
	if err != nil {
		t.Fatal(err)
	}
	w.send(t, `{"jsonrpc":"2.0","method":"textDocument/didOpen","params":{"textDocument":{"uri":"file:///Dockerfile","languageId":"dockerfile","version":1,"text":`+string(text)+`}}}`)
	if got, want := w.receive(t), fmt.Sprintf(`"start":{"line":%d,"character":5}`, lines); !strings.Contains(got, want) {
		t.Errorf("the diagnostics are %s, want %s", got, want)
	}
	w.send(t, fmt.Sprintf(`{"jsonrpc":"2.0","method":"textDocument/didChange","params":{"textDocument":{"uri":"file:///Dockerfile","version":2},"contentChanges":[{"range":{"start":{"line":%[1]d,"character":5},"end":{"line":%[1]d,"character":9}},"text":"9000"}]}}`, lines))
	if got := w.receive(t); !strings.Contains(got, `"version":2,"diagnostics":[]`) {
		t.Errorf("the diagnostics are %s", got)
	}
}

// FuzzServe sends anything, in messages and outside of them. The server ends with its input, and answers nothing but
// messages.
func FuzzServe(f *testing.F) {
	const open = `{"jsonrpc":"2.0","method":"textDocument/didOpen","params":{"textDocument":{"uri":"file:///Dockerfile","languageId":"dockerfile","version":1,"text":"USER root"}}}`
	f.Add([]byte(`{"jsonrpc":"2.0","id":1,"method":"textDocument/hover","params":{"textDocument":{"uri":"file:///Dockerfile"},"position":{"line":0,"character":6}}}`), true)
	f.Add([]byte(`{"jsonrpc":"2.0","id":1,"method":"textDocument/codeAction","params":{"textDocument":{"uri":"file:///Dockerfile"},"range":{"start":{"line":0,"character":6},"end":{"line":1,"character":0}}}}`), true)
	f.Add([]byte(`{"jsonrpc":"2.0","method":"textDocument/didChange","params":{"textDocument":{"uri":"file:///Dockerfile"},"contentChanges":[{"text":"x"}]}}`), true)
	f.Add([]byte("Content-Length: 2\r\n\r\n[]"), false)
	f.Fuzz(func(t *testing.T, data []byte, framed bool) {
		var in bytes.Buffer
		for _, body := range []string{initialize, open} {
			fmt.Fprintf(&in, "Content-Length: %d\r\n\r\n%s", len(body), body)
		}
		if framed {
			fmt.Fprintf(&in, "Content-Length: %d\r\n\r\n", len(data))
		}
		in.Write(data)
		var out bytes.Buffer
		_ = lsp.Serve(t.Context(), io.NopCloser(&in), nopWriteCloser{&out}, options(newChecker())) // any end is right
		for r := (&wire{r: bufio.NewReader(&out)}); ; {
			if _, err := r.r.Peek(1); err != nil {
				break
			}
			if body := r.receive(t); !json.Valid([]byte(body)) {
				t.Errorf("an answer is %q", body)
			}
		}
	})
}
