package lsp_test

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"go.lsp.dev/jsonrpc2"
	"go.lsp.dev/protocol"
	"go.uber.org/zap"

	"github.com/deckhand-engine/deckhand/guard/lsp"
)

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

const uri = protocol.DocumentURI("file:///work/Dockerfile")

// editor is the client of another implementation, with the texts that it has open.
type editor struct {
	protocol.Client // the methods that the server never calls
	protocol.Server
	conn      jsonrpc2.Conn
	published chan *protocol.PublishDiagnosticsParams
	logged    chan string
	served    chan error // what Serve returned
	result    *protocol.InitializeResult
}

// PublishDiagnostics takes diagnostics.
func (e *editor) PublishDiagnostics(_ context.Context, p *protocol.PublishDiagnosticsParams) error {
	e.published <- p
	return nil
}

// LogMessage takes a message.
func (e *editor) LogMessage(_ context.Context, p *protocol.LogMessageParams) error {
	e.logged <- p.Message
	return nil
}

// pipe is a connection whose ends are closed as those of two pipes: both at once.
func serve(t *testing.T, o lsp.Options) (net.Conn, chan error) {
	t.Helper()
	ours, theirs := net.Pipe()
	served := make(chan error, 1)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { served <- lsp.Serve(ctx, theirs, nopWriteCloser{theirs}, o) })
	t.Cleanup(func() {
		cancel()
		_ = ours.Close() // it may be closed
		running.Wait()
	})
	return ours, served
}

// nopWriteCloser lets the reading side close the connection.
type nopWriteCloser struct{ io.Writer }

// Close does nothing.
func (nopWriteCloser) Close() error { return nil }

// connect starts a server and a client, before initialize.
func connect(t *testing.T, o lsp.Options) *editor {
	t.Helper()
	conn, served := serve(t, o)
	e := &editor{published: make(chan *protocol.PublishDiagnosticsParams, 100), logged: make(chan string, 100), served: served}
	_, e.conn, e.Server = protocol.NewClient(t.Context(), e, jsonrpc2.NewStream(conn), zap.NewNop())
	t.Cleanup(func() {
		_ = e.conn.Close() // it may be closed
		<-e.conn.Done()
	})
	return e
}

// open starts a server and a client that has said what it can.
func open(t *testing.T, o lsp.Options, can protocol.ClientCapabilities) *editor {
	t.Helper()
	e := connect(t, o)
	var err error
	if e.result, err = e.Initialize(t.Context(), &protocol.InitializeParams{Capabilities: can}); err != nil {
		t.Fatal(err)
	}
	if err := e.Initialized(t.Context(), &protocol.InitializedParams{}); err != nil {
		t.Fatal(err)
	}
	return e
}

func (e *editor) didOpen(t *testing.T, u protocol.DocumentURI, language protocol.LanguageIdentifier, text string) {
	t.Helper()
	err := e.DidOpen(t.Context(), &protocol.DidOpenTextDocumentParams{
		TextDocument: protocol.TextDocumentItem{URI: u, LanguageID: language, Version: 1, Text: text},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// didChange replaces a part of a text.
func (e *editor) didChange(t *testing.T, version int32, r protocol.Range, text string) {
	t.Helper()
	err := e.DidChange(t.Context(), &protocol.DidChangeTextDocumentParams{
		TextDocument: protocol.VersionedTextDocumentIdentifier{
			TextDocumentIdentifier: protocol.TextDocumentIdentifier{URI: uri}, Version: version,
		},
		ContentChanges: []protocol.TextDocumentContentChangeEvent{{Range: r, Text: text}},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// diagnostics are the next that are published.
func (e *editor) diagnostics(t *testing.T) *protocol.PublishDiagnosticsParams {
	t.Helper()
	return await(t, e.published, "diagnostics")
}

func await[T any](t *testing.T, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("there are no %s", what)
		panic("unreachable")
	}
}

func (e *editor) actions(t *testing.T, at protocol.Range, only ...protocol.CodeActionKind) []protocol.CodeAction {
	t.Helper()
	actions, err := e.CodeAction(t.Context(), &protocol.CodeActionParams{
		TextDocument: protocol.TextDocumentIdentifier{URI: uri}, Range: at, Context: protocol.CodeActionContext{Only: only},
	})
	if err != nil {
		t.Fatal(err)
	}
	return actions
}

func (e *editor) hover(t *testing.T, line, character uint32) *protocol.Hover {
	t.Helper()
	h, err := e.Hover(t.Context(), &protocol.HoverParams{TextDocumentPositionParams: protocol.TextDocumentPositionParams{
		TextDocument: protocol.TextDocumentIdentifier{URI: uri}, Position: protocol.Position{Line: line, Character: character},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func span(startLine, start, endLine, end uint32) protocol.Range {
	return protocol.Range{
		Start: protocol.Position{Line: startLine, Character: start}, End: protocol.Position{Line: endLine, Character: end},
	}
}
