// Package lsp serves editors: what the checks find in the texts that are open, while they are typed, with quick fixes.
//
// It speaks the Language Server Protocol 3.17 over one connection and knows nothing of files: a text is what the
// editor says it is. Whatever is wrong with a message is answered or logged, and ends nothing; a text that the server
// lost track of is forgotten until it is opened again.
package lsp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"

	"github.com/sourcegraph/jsonrpc2"

	"github.com/deckhand-engine/deckhand/guard"
)

// ErrNoShutdown says that the client left, or said exit, without asking to shut down. The protocol wants exit
// status 1 then.
var ErrNoShutdown = errors.New("the client left without shutdown")

// Checker checks texts. It is called by several goroutines, for each document by one at a time.
type Checker interface {
	// Text checks a text of that kind; empty: find out. It returns soon when ctx ends.
	Text(ctx context.Context, src guard.Source, kind guard.Kind) *guard.Document
}

// Options are what a server needs.
type Options struct {
	Checker Checker
	Page    func(rule string) string // a rule's page in Markdown; nil: there are none
	Version string                   // of deckhand
	Log     *slog.Logger             // nil: nothing is logged
}

// Serve answers a client until it says exit or is gone, or ctx ends, and closes both in and out. The error is nil
// after an orderly shutdown, [ErrNoShutdown] without one, and ctx's where ctx ended.
func Serve(ctx context.Context, in io.ReadCloser, out io.WriteCloser, o Options) error {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &server{Options: o, documents: map[string]*inspection{}, calls: map[jsonrpc2.ID]context.CancelFunc{}, exit: make(chan struct{})}
	messages := newStream(in, out)
	conn := jsonrpc2.NewConn(ctx, messages, s, jsonrpc2.SetLogger(logger{o.Log}))
	select {
	case <-conn.DisconnectNotify():
	case <-s.exit:
		_ = conn.Close() // it may be closed already, and nobody listens any more
	}
	s.finish()
	switch err := messages.failure(); {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case s.phase() == shutDown:
		return nil
	case err != nil && !s.exited():
		return fmt.Errorf("read message: %w", err)
	}
	return ErrNoShutdown
}

// phase is how far a connection's life has come.
type phase int

const (
	created phase = iota
	initialized
	shutDown
)

// server is the state of one connection.
type server struct {
	Options
	exit     chan struct{} // closed by the exit notification
	exitOnce sync.Once

	running    sync.WaitGroup // checks and answers
	publishing sync.Mutex     // keeps diagnostics in the order of their texts

	mu        sync.Mutex
	at        phase
	finished  bool // nothing new is started
	client    client
	documents map[string]*inspection // by URI
	calls     map[jsonrpc2.ID]context.CancelFunc
}

// client is what the client said it can.
type client struct {
	unit            encoding
	documentChanges bool
	plainHover      bool
}

func (s *server) phase() phase {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.at
}

// exited reports whether the client said exit.
func (s *server) exited() bool {
	select {
	case <-s.exit:
		return true
	default:
		return false
	}
}

// start runs f beside the reading of messages, unless the connection is about to end.
func (s *server) start(f func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.finished {
		return false
	}
	s.running.Go(f)
	return true
}

// finish waits for what runs. The connection's context has ended.
func (s *server) finish() {
	s.mu.Lock()
	s.finished = true
	s.mu.Unlock()
	s.running.Wait()
}

// logger takes the connection's own complaints.
type logger struct{ log *slog.Logger }

// Printf logs.
func (l logger) Printf(format string, v ...any) { l.log.Debug(fmt.Sprintf(format, v...)) }
