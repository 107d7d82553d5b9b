package lsp_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.lsp.dev/jsonrpc2"
	"go.lsp.dev/protocol"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/check"
	"github.com/deckhand-engine/deckhand/guard/load"
	"github.com/deckhand-engine/deckhand/guard/lsp"
	"github.com/deckhand-engine/deckhand/guard/policy"
)

// checker finds the words root and secret, and asks the policy.
type checker struct {
	calls   atomic.Int32
	running atomic.Int32 // at once, for one document
	block   chan struct{}
}

// Text checks.
func (c *checker) Text(ctx context.Context, src guard.Source, kind guard.Kind) *guard.Document {
	c.calls.Add(1)
	if c.running.Add(1) > 1 {
		panic("two checks of a document at once")
	}
	defer c.running.Add(-1)
	doc := &guard.Document{Path: src.Path, Kind: kind, Source: src.Data}
	if kind == "" && (load.Texts{}).Kind(src) == "" {
		doc.Err = check.ErrUnknownKind
		return doc
	}
	if bytes.Contains(src.Data, []byte("wait")) {
		select {
		case <-ctx.Done():
		case <-c.block:
		}
	}
	n := 0
	for line := range bytes.Lines(src.Data) {
		n++
		if i := bytes.Index(line, []byte("root")); i >= 0 {
			where := guard.Location{Path: src.Path, Line: n, Column: i + 1, EndLine: n, EndColumn: i + 5}
			doc.Findings = append(doc.Findings, guard.Finding{
				Rule: "DH003", Severity: guard.Error, Message: "it runs as *root*", Detail: "USER says so", Where: where,
				Fixes: []guard.Fix{
					{Title: "create a user", Edits: []guard.Edit{{At: where, Text: "app"}}},
					{Title: "use nobody's uid", Edits: []guard.Edit{{At: where, Text: "65534"}}, Safe: true},
				},
			})
		}
		if bytes.Contains(line, []byte("secret")) {
			doc.Findings = append(doc.Findings, guard.Finding{
				Rule: "DH019", Severity: guard.Warning, Message: "a secret", Hint: "mount it", Where: guard.Location{Path: src.Path, Line: n},
			})
		}
	}
	(&policy.Policy{}).Judge(doc)
	return doc
}

func newChecker() *checker { return &checker{block: make(chan struct{})} }

func options(c lsp.Checker) lsp.Options {
	return lsp.Options{Checker: c, Version: "v1.2.3", Page: func(id string) string { return "# Page of " + id }}
}

const dockerfile = "FROM a\n  USER root\nENV secret=é\n"

func TestInitialize(t *testing.T) {
	e := open(t, options(newChecker()), protocol.ClientCapabilities{})
	sync, err := json.Marshal(e.result.Capabilities.TextDocumentSync)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(sync), `{"change":2,"openClose":true,"save":true}`; got != want {
		t.Errorf("textDocumentSync = %s, want %s", got, want)
	}
	if e.result.Capabilities.HoverProvider != true || e.result.Capabilities.CodeActionProvider == nil {
		t.Errorf("hover %v, code actions %v", e.result.Capabilities.HoverProvider, e.result.Capabilities.CodeActionProvider)
	}
	if diff := cmp.Diff(&protocol.ServerInfo{Name: "deckhand", Version: "v1.2.3"}, e.result.ServerInfo); diff != "" {
		t.Error(diff)
	}
}

func TestDiagnostics(t *testing.T) {
	e := open(t, options(newChecker()), protocol.ClientCapabilities{})
	e.didOpen(t, uri, "dockerfile", dockerfile)
	diagnostic := func(r protocol.Range, s protocol.DiagnosticSeverity, rule, message string) protocol.Diagnostic {
		page := protocol.URI("https://github.com/deckhand-engine/deckhand/blob/main/docs/rules/" + rule + ".md")
		return protocol.Diagnostic{
			Range: r, Severity: s, Code: rule, CodeDescription: &protocol.CodeDescription{Href: page}, Source: "deckhand", Message: message,
		}
	}
	want := &protocol.PublishDiagnosticsParams{URI: uri, Version: 1, Diagnostics: []protocol.Diagnostic{
		diagnostic(span(1, 7, 1, 11), protocol.DiagnosticSeverityError, "DH003", "it runs as *root*"),
		diagnostic(span(2, 0, 2, 12), protocol.DiagnosticSeverityWarning, "DH019", "a secret"),
	}}
	if diff := cmp.Diff(want, e.diagnostics(t)); diff != "" {
		t.Error(diff)
	}
	e.didChange(t, 2, span(1, 7, 1, 11), "9000")
	want.Version, want.Diagnostics = 2, want.Diagnostics[1:]
	if diff := cmp.Diff(want, e.diagnostics(t)); diff != "" {
		t.Error(diff)
	}
	if err := e.DidClose(t.Context(), &protocol.DidCloseTextDocumentParams{TextDocument: protocol.TextDocumentIdentifier{URI: uri}}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&protocol.PublishDiagnosticsParams{URI: uri, Diagnostics: []protocol.Diagnostic{}}, e.diagnostics(t)); diff != "" {
		t.Error(diff)
	}
}

// TestQuickFixes applies actions as an editor does and looks whether their findings are gone.
func TestQuickFixes(t *testing.T) {
	tests := map[string]struct {
		can   protocol.ClientCapabilities
		at    protocol.Range
		only  []protocol.CodeActionKind
		title string
		text  string   // afterwards
		left  []string // rules that are found then
	}{
		"a safe fix": {
			at: span(1, 8, 1, 8), title: "Use nobody's uid", text: "FROM a\n  USER 65534\nENV secret=é\n", left: []string{"DH019"},
		},
		"a fix that wants a proof": {
			at: span(1, 0, 1, 11), title: "Create a user (prove it with: deckhand harden)", text: "FROM a\n  USER app\nENV secret=é\n", left: []string{"DH019"},
		},
		"ignore, without a reason yet": {
			at: span(1, 7, 1, 7), title: "Ignore DH003 here (give a reason)", text: "FROM a\n  # deckhand:ignore=DH003 \n  USER root\nENV secret=é\n",
			left: []string{"DH030", "DH003", "DH019"},
		},
		"with a versioned edit": {
			can: versionedEdits(), at: span(0, 0, 3, 0), only: []protocol.CodeActionKind{"quickfix"}, title: "Use nobody's uid",
			text: "FROM a\n  USER 65534\nENV secret=é\n", left: []string{"DH019"},
		},
		"all safe fixes": {
			at: span(0, 0, 0, 0), only: []protocol.CodeActionKind{"source.fixAll"}, title: "Make all safe fixes of deckhand",
			text: "FROM a\n  USER 65534\nENV secret=é\n", left: []string{"DH019"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			e := open(t, options(newChecker()), tt.can)
			e.didOpen(t, uri, "dockerfile", dockerfile)
			e.diagnostics(t)
			action := titled(t, e.actions(t, tt.at, tt.only...), tt.title)
			edits := edits(t, action, tt.can.Workspace != nil)
			got := apply(t, dockerfile, edits)
			if got != tt.text {
				t.Errorf("the text is %q, want %q", got, tt.text)
			}
			for i, edit := range edits { // these do not move each other
				e.didChange(t, int32(2+i), edit.Range, edit.NewText)
			}
			if diff := cmp.Diff(tt.left, rules(e.diagnostics(t))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func versionedEdits() protocol.ClientCapabilities {
	return protocol.ClientCapabilities{Workspace: &protocol.WorkspaceClientCapabilities{
		WorkspaceEdit: &protocol.WorkspaceClientCapabilitiesWorkspaceEdit{DocumentChanges: true},
	}}
}

func titled(t *testing.T, actions []protocol.CodeAction, title string) protocol.CodeAction {
	t.Helper()
	var titles []string
	for _, a := range actions {
		if a.Title == title {
			return a
		}
		titles = append(titles, a.Title)
	}
	t.Fatalf("there is no action %q, but %q", title, titles)
	panic("unreachable")
}

func edits(t *testing.T, a protocol.CodeAction, versioned bool) []protocol.TextEdit {
	t.Helper()
	if !versioned {
		return a.Edit.Changes[uri]
	}
	if len(a.Edit.DocumentChanges) != 1 || a.Edit.Changes != nil || a.Edit.DocumentChanges[0].TextDocument.URI != uri {
		t.Fatalf("the edit is %v", a.Edit)
	}
	if v := a.Edit.DocumentChanges[0].TextDocument.Version; v == nil || *v != 1 {
		t.Errorf("the edit is for version %v", v)
	}
	return a.Edit.DocumentChanges[0].Edits
}

// apply edits a text of which every character is one UTF-16 unit.
func apply(t *testing.T, text string, edits []protocol.TextEdit) string {
	t.Helper()
	if len(edits) != 1 {
		t.Fatalf("there are %d edits", len(edits))
	}
	offset := func(p protocol.Position) int {
		lines := strings.SplitAfter(text, "\n")
		return len([]rune(strings.Join(lines[:p.Line], ""))) + int(p.Character)
	}
	characters := []rune(text)
	start, end := offset(edits[0].Range.Start), offset(edits[0].Range.End)
	return string(characters[:start]) + edits[0].NewText + string(characters[end:])
}

func rules(p *protocol.PublishDiagnosticsParams) []string {
	var ids []string
	for _, d := range p.Diagnostics {
		ids = append(ids, fmt.Sprint(d.Code))
	}
	return ids
}

func TestCodeActionsOffered(t *testing.T) {
	e := open(t, options(newChecker()), protocol.ClientCapabilities{})
	e.didOpen(t, uri, "dockerfile", dockerfile)
	e.diagnostics(t)
	tests := map[string]struct {
		at   protocol.Range
		only []protocol.CodeActionKind
		want []string
	}{
		"elsewhere":   {span(0, 0, 0, 6), []protocol.CodeActionKind{"quickfix"}, nil},
		"at its end":  {span(1, 11, 1, 11), []protocol.CodeActionKind{"quickfix"}, []string{"Create a user (prove it with: deckhand harden)", "Use nobody's uid!", "Ignore DH003 here (give a reason)"}},
		"backwards":   {span(1, 11, 1, 8), []protocol.CodeActionKind{"quickfix"}, []string{"Create a user (prove it with: deckhand harden)", "Use nobody's uid!", "Ignore DH003 here (give a reason)"}},
		"no fix":      {span(2, 3, 2, 3), nil, []string{"Ignore DH019 here (give a reason)", "Make all safe fixes of deckhand"}},
		"others only": {span(1, 8, 1, 8), []protocol.CodeActionKind{"refactor", "source.organizeImports"}, nil},
		"beyond":      {span(900, 8, 4000000000, 8), []protocol.CodeActionKind{"quickfix"}, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, a := range e.actions(t, tt.at, tt.only...) {
				if a.IsPreferred {
					a.Title += "!"
				}
				got = append(got, a.Title)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestHover(t *testing.T) {
	plain := protocol.ClientCapabilities{TextDocument: &protocol.TextDocumentClientCapabilities{
		Hover: &protocol.HoverTextDocumentClientCapabilities{ContentFormat: []protocol.MarkupKind{protocol.PlainText}},
	}}
	at := span(1, 7, 1, 11)
	tests := map[string]struct {
		can             protocol.ClientCapabilities
		line, character uint32
		want            *protocol.Hover
	}{
		"Markdown": {protocol.ClientCapabilities{}, 1, 9, &protocol.Hover{
			Contents: protocol.MarkupContent{Kind: protocol.Markdown, Value: "**DH003 root-name (error)**: it runs as \\*root\\*\n\nUSER says so\n\n---\n\n# Page of DH003"}, Range: &at,
		}},
		"plain text": {plain, 1, 9, &protocol.Hover{
			Contents: protocol.MarkupContent{Kind: protocol.PlainText, Value: "DH003 root-name (error): it runs as *root*\n\nUSER says so\n\n---\n\n# Page of DH003"}, Range: &at,
		}},
		"nothing there": {plain, 0, 3, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			e := open(t, options(newChecker()), tt.can)
			e.didOpen(t, uri, "dockerfile", dockerfile)
			if diff := cmp.Diff(tt.want, e.hover(t, tt.line, tt.character)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestKinds holds what is checked to the editor's language, then to name and content.
func TestKinds(t *testing.T) {
	tests := map[string]struct {
		uri      protocol.DocumentURI
		language protocol.LanguageIdentifier
		want     []string
	}{
		"a Dockerfile by language":    {"file:///a/build.txt", "dockerfile", []string{"DH003"}},
		"a Dockerfile by name":        {"file:///a%20b/Dockerfile", "plaintext", []string{"DH003"}},
		"a text that was never saved": {"untitled:Untitled-1", "dockerfile", []string{"DH003"}},
		"a compose file by language":  {"file:///a/x.yaml", "dockercompose", []string{"DH003"}},
		"nothing to check":            {"file:///a/notes.txt", "plaintext", nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			e := open(t, options(newChecker()), protocol.ClientCapabilities{})
			e.didOpen(t, tt.uri, tt.language, "root\n")
			got := e.diagnostics(t)
			if diff := cmp.Diff(tt.want, rules(got)); diff != "" || got.URI != tt.uri {
				t.Errorf("for %s: %s", got.URI, diff)
			}
		})
	}
}

// TestUTF8 counts in bytes with a client that can. The client's library is older than that, so it is asked for by hand.
func TestUTF8(t *testing.T) {
	e := connect(t, options(newChecker()))
	var result struct {
		Capabilities struct {
			PositionEncoding string `json:"positionEncoding"`
		} `json:"capabilities"`
	}
	can := map[string]any{"capabilities": map[string]any{"general": map[string]any{"positionEncodings": []string{"utf-8", "utf-16"}}}}
	if _, err := e.conn.Call(t.Context(), "initialize", can, &result); err != nil {
		t.Fatal(err)
	}
	if result.Capabilities.PositionEncoding != "utf-8" {
		t.Errorf("positionEncoding = %q", result.Capabilities.PositionEncoding)
	}
	e.didOpen(t, uri, "dockerfile", "ENV é=𝄞 root\n")
	if got, want := e.diagnostics(t).Diagnostics[0].Range, span(0, 12, 0, 16); got != want {
		t.Errorf("range = %v, want %v", got, want)
	}
}

// TestDebounce types quickly: the text is checked when it has settled, not for each letter.
func TestDebounce(t *testing.T) {
	c := newChecker()
	e := open(t, options(c), protocol.ClientCapabilities{})
	e.didOpen(t, uri, "dockerfile", "USER \n")
	e.diagnostics(t)
	before := c.calls.Load()
	for i, letter := range []string{"r", "o", "o", "t"} {
		e.didChange(t, int32(2+i), span(0, uint32(5+i), 0, uint32(5+i)), letter)
	}
	got := e.diagnostics(t)
	if diff := cmp.Diff([]string{"DH003"}, rules(got)); diff != "" || got.Version != 5 {
		t.Errorf("version %d: %s", got.Version, diff)
	}
	if n := c.calls.Load() - before; n != 1 {
		t.Errorf("it was checked %d times", n)
	}
}

// TestOutdated changes a text while it is checked: the check ends, and whoever asked about the old text is told so.
func TestOutdated(t *testing.T) {
	e := open(t, options(newChecker()), protocol.ClientCapabilities{})
	e.didOpen(t, uri, "dockerfile", "wait\n")
	failed := make(chan error, 1)
	go func() {
		_, err := e.Hover(context.WithoutCancel(t.Context()), &protocol.HoverParams{TextDocumentPositionParams: protocol.TextDocumentPositionParams{
			TextDocument: protocol.TextDocumentIdentifier{URI: uri},
		}})
		failed <- err
	}()
	select {
	case err := <-failed:
		t.Fatalf("hover does not wait for the check: %v", err)
	case <-time.After(200 * time.Millisecond):
	}
	e.didChange(t, 2, span(0, 0, 0, 4), "root")
	if err := await(t, failed, "answers"); code(err) != -32801 {
		t.Errorf("hover fails with %v", err)
	}
	if got := e.diagnostics(t); got.Version != 2 || len(got.Diagnostics) != 1 {
		t.Errorf("the next diagnostics are %v", got)
	}
}

// TestCancel cancels a request, and sees that the check it waited for goes on.
func TestCancel(t *testing.T) {
	c := newChecker()
	e := open(t, options(c), protocol.ClientCapabilities{})
	e.didOpen(t, uri, "dockerfile", "wait root\n")
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err := e.Hover(ctx, &protocol.HoverParams{TextDocumentPositionParams: protocol.TextDocumentPositionParams{
		TextDocument: protocol.TextDocumentIdentifier{URI: uri},
	}})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("hover = %v", err)
	}
	close(c.block)
	if got := e.diagnostics(t); len(got.Diagnostics) != 1 {
		t.Errorf("diagnostics are %v", got)
	}
}

func code(err error) int {
	if e, ok := errors.AsType[*jsonrpc2.Error](err); ok {
		return int(e.Code)
	}
	return 0
}

func TestSave(t *testing.T) {
	c := newChecker()
	e := open(t, options(c), protocol.ClientCapabilities{})
	e.didOpen(t, uri, "dockerfile", dockerfile)
	e.diagnostics(t)
	if err := e.DidSave(t.Context(), &protocol.DidSaveTextDocumentParams{TextDocument: protocol.TextDocumentIdentifier{URI: "file:///work/deckhand.yaml"}}); err != nil {
		t.Fatal(err)
	}
	if got := e.diagnostics(t); got.Version != 1 || len(got.Diagnostics) != 2 || c.calls.Load() != 2 {
		t.Errorf("after a save: %v, %d checks", got, c.calls.Load())
	}
}

// TestShutdown also looks whether anything is left that runs, with a check at work and a request waiting for it.
func TestShutdown(t *testing.T) {
	before := runtime.NumGoroutine()
	e := open(t, options(newChecker()), protocol.ClientCapabilities{})
	e.didOpen(t, uri, "dockerfile", "wait\n")
	waiting := make(chan error, 1)
	go func() {
		_, err := e.conn.Call(context.WithoutCancel(t.Context()), "textDocument/hover", map[string]any{
			"textDocument": map[string]any{"uri": uri}, "position": protocol.Position{},
		}, nil)
		waiting <- err
	}()
	time.Sleep(50 * time.Millisecond)
	if err := e.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := await(t, waiting, "answers"); code(err) != -32800 && code(err) != -32801 {
		t.Errorf("the waiting request fails with %v", err)
	}
	if _, err := e.conn.Call(t.Context(), "textDocument/hover", map[string]any{}, nil); code(err) != -32600 {
		t.Errorf("a request after shutdown fails with %v", err)
	}
	if err := e.Exit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := await(t, e.served, "results of Serve"); err != nil {
		t.Errorf("Serve = %v", err)
	}
	<-e.conn.Done()
	settled(t, before)
}

// settled waits until there are no more goroutines than before.
func settled(t *testing.T, before int) {
	t.Helper()
	for end := time.After(patience); runtime.NumGoroutine() > before; {
		select {
		case <-end:
			stacks := make([]byte, 1<<20)
			t.Fatalf("%d goroutines were there before, now:\n%s", before, stacks[:runtime.Stack(stacks, true)])
		case <-time.After(5 * time.Millisecond):
		}
	}
}
