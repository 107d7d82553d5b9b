package lsp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/sourcegraph/jsonrpc2"

	"github.com/deckhand-engine/deckhand/guard"
)

// settle is how long a text must stay as it is before it is checked.
const settle = 150 * time.Millisecond

// maxTextBytes is what is checked; larger texts are none that people write.
const maxTextBytes = 16 << 20

// inspection is the check of one version of a text that is open in the editor.
type inspection struct {
	uri     string
	version int
	kind    guard.Kind // empty: found out
	source  guard.Source
	text    *text
	client  client

	cancel  context.CancelFunc
	hurry   func()          // somebody waits for it
	hurried <-chan struct{} // closed by hurry
	done    chan struct{}   // closed when it is over
	result  *guard.Document // read it after done only; nil: it was given up
	found   []finding       // likewise
}

// source is where a text is from. One that was never saved has a name only.
func source(uri string, data []byte) guard.Source {
	u, err := url.Parse(uri)
	if err != nil || u.Scheme != "file" || u.Path == "" {
		return guard.Source{Path: uri, Data: data}
	}
	p := filepath.FromSlash(u.Path)
	return guard.Source{Path: p, File: p, Data: data}
}

// kindOf is the kind that the editor's language says; empty where it says none.
func kindOf(language string) guard.Kind {
	switch language {
	case "dockerfile":
		return guard.KindDockerfile
	case "dockercompose", "yaml.docker-compose":
		return guard.KindCompose
	}
	return ""
}

func (s *server) didOpen(ctx context.Context, conn *jsonrpc2.Conn, params *json.RawMessage) error {
	var p openParams
	if err := decode(params, &p); err != nil {
		return err
	}
	d := p.TextDocument
	s.inspect(ctx, conn, &inspection{uri: d.URI, version: d.Version, kind: kindOf(d.LanguageID), source: source(d.URI, []byte(d.Text))}, 0)
	return nil
}

func (s *server) didChange(ctx context.Context, conn *jsonrpc2.Conn, params *json.RawMessage) error {
	var p changeParams
	if err := decode(params, &p); err != nil {
		return err
	}
	s.mu.Lock()
	old := s.documents[p.TextDocument.URI]
	s.mu.Unlock()
	if old == nil {
		return errors.New("no such document is open: " + p.TextDocument.URI)
	}
	data, err := change(old.source.Data, old.client.unit, p.ContentChanges)
	if err != nil {
		return errors.Join(err, s.lose(ctx, conn, p.TextDocument.URI, err))
	}
	next := &inspection{uri: old.uri, version: p.TextDocument.Version, kind: old.kind, source: old.source}
	next.source.Data = data
	s.inspect(ctx, conn, next, settle)
	return nil
}

// lose forgets a document whose text is not known any more, and says so: silence is better than findings at wrong
// places.
func (s *server) lose(ctx context.Context, conn *jsonrpc2.Conn, uri string, why error) error {
	return errors.Join(
		s.forget(ctx, conn, uri),
		conn.Notify(ctx, "window/logMessage", logMessageParams{messageError, fmt.Sprintf("deckhand: %s: %s; open it again", uri, why)}),
	)
}

// didSave checks all texts again: a policy, a base image's Dockerfile or a script that they depend on may have been
// saved.
func (s *server) didSave(ctx context.Context, conn *jsonrpc2.Conn, params *json.RawMessage) error {
	var p documentParams
	if err := decode(params, &p); err != nil {
		return err
	}
	s.mu.Lock()
	open := slices.Collect(maps.Values(s.documents))
	s.mu.Unlock()
	for _, i := range open {
		wait := settle
		if i.uri == p.TextDocument.URI {
			wait = 0
		}
		s.inspect(ctx, conn, &inspection{uri: i.uri, version: i.version, kind: i.kind, source: i.source}, wait)
	}
	return nil
}

func (s *server) didClose(ctx context.Context, conn *jsonrpc2.Conn, params *json.RawMessage) error {
	var p documentParams
	if err := decode(params, &p); err != nil {
		return err
	}
	return s.forget(ctx, conn, p.TextDocument.URI)
}

// forget ends a document's check and clears what is shown of it.
func (s *server) forget(ctx context.Context, conn *jsonrpc2.Conn, uri string) error {
	s.mu.Lock()
	i := s.documents[uri]
	delete(s.documents, uri)
	s.mu.Unlock()
	if i == nil {
		return errors.New("no such document is open: " + uri)
	}
	i.cancel()
	s.publishing.Lock()
	defer s.publishing.Unlock()
	return conn.Notify(ctx, "textDocument/publishDiagnostics", publishParams{URI: uri, Diagnostics: []diagnostic{}})
}

// inspect begins to check a text, in the place of the version before, and publishes what is found. Two versions of a
// document are never at work at once.
func (s *server) inspect(ctx context.Context, conn *jsonrpc2.Conn, i *inspection, wait time.Duration) {
	ctx, i.cancel = context.WithCancel(ctx)
	hurried := make(chan struct{})
	i.hurried, i.hurry = hurried, sync.OnceFunc(func() { close(hurried) })
	i.done = make(chan struct{})

	s.mu.Lock()
	i.client = s.client
	i.text = newText(i.source.Data, i.client.unit)
	var before <-chan struct{}
	if old := s.documents[i.uri]; old != nil {
		old.cancel()
		before = old.done
	}
	s.documents[i.uri] = i
	s.mu.Unlock()

	started := s.start(func() {
		defer i.cancel()
		i.run(ctx, s.Checker, before, wait)
		if err := s.publish(ctx, conn, i); err != nil {
			s.Log.Debug("publish", "uri", i.uri, "error", err) // the client is gone: reading notices it as well
		}
	})
	if !started {
		i.cancel()
		close(i.done)
	}
}

// run waits until the text has settled or somebody asks, and until the version before is over.
func (i *inspection) run(ctx context.Context, c Checker, before <-chan struct{}, wait time.Duration) {
	defer close(i.done)
	settled := time.NewTimer(wait)
	defer settled.Stop()
	select {
	case <-settled.C:
	case <-i.hurried:
	case <-ctx.Done():
	}
	if before != nil {
		<-before
	}
	if ctx.Err() != nil {
		return
	}
	if len(i.source.Data) > maxTextBytes {
		i.result = &guard.Document{Path: i.source.Path}
		return
	}
	if doc := c.Text(ctx, i.source, i.kind); ctx.Err() == nil {
		i.result, i.found = doc, i.findings(doc)
	}
}

// publish shows what was found, unless the text has changed since.
func (s *server) publish(ctx context.Context, conn *jsonrpc2.Conn, i *inspection) error {
	s.publishing.Lock()
	defer s.publishing.Unlock()
	s.mu.Lock()
	current := s.documents[i.uri]
	s.mu.Unlock()
	if i.result == nil || current != i {
		return nil
	}
	shown := make([]diagnostic, 0, len(i.found))
	for _, f := range i.found {
		shown = append(shown, f.shown)
	}
	return conn.Notify(ctx, "textDocument/publishDiagnostics", publishParams{URI: i.uri, Version: &i.version, Diagnostics: shown})
}

// inspected is the check of a text as it is now, for a request about it; it waits for nobody else's typing.
func (s *server) inspected(uri string) (*inspection, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.documents[uri]
	if i == nil {
		return nil, invalidParams("no such document is open: " + uri)
	}
	i.hurry()
	return i, nil
}

// wait returns when the check is over. The error says that the text has changed in the meantime.
func (i *inspection) wait(ctx context.Context) error {
	select {
	case <-i.done:
	case <-ctx.Done():
		return ctx.Err()
	}
	if i.result == nil {
		return &jsonrpc2.Error{Code: codeContentModified, Message: "the text has changed"}
	}
	return nil
}
