package checkcmd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.lsp.dev/jsonrpc2"
	"go.lsp.dev/protocol"
	"go.lsp.dev/uri"
	"go.uber.org/zap"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/load"
)

// asProgram makes the test's own executable be deckhand-check.
const asProgram = "DECKHAND_TEST_AS_CHECK"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		os.Exit(Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr, load.Texts{}))
	}
	os.Exit(m.Run())
}

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

// editor is a client of another implementation that started deckhand-check as its child, as editors do.
type editor struct {
	protocol.Client // the methods that the server never calls
	protocol.Server
	published chan *protocol.PublishDiagnosticsParams
	stdin     io.Closer
	cmd       *exec.Cmd
	complaint bytes.Buffer
}

// PublishDiagnostics takes diagnostics.
func (e *editor) PublishDiagnostics(_ context.Context, p *protocol.PublishDiagnosticsParams) error {
	e.published <- p
	return nil
}

// stdio joins the two pipes of a child.
type stdio struct {
	io.Reader
	io.WriteCloser
}

// program is deckhand-check, which finds no store and no user's files.
func program(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, args...)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), asProgram+"=1", "HOME="+cmd.Dir, "DECKHAND_DATA_ROOT="+filepath.Join(cmd.Dir, "none"))
	return cmd
}

func startEditor(t *testing.T, args ...string) *editor {
	t.Helper()
	e := &editor{published: make(chan *protocol.PublishDiagnosticsParams, 100), cmd: program(t, append([]string{"lsp"}, args...)...)}
	stdin, err := e.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := e.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	e.cmd.Stderr, e.stdin = &e.complaint, stdin
	if err := e.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var conn jsonrpc2.Conn
	_, conn, e.Server = protocol.NewClient(t.Context(), e, jsonrpc2.NewStream(stdio{stdout, stdin}), zap.NewNop())
	t.Cleanup(func() {
		_ = conn.Close() // it may be closed
		<-conn.Done()
	})
	if _, err := e.Initialize(t.Context(), &protocol.InitializeParams{}); err != nil {
		t.Fatal(err)
	}
	if err := e.Initialized(t.Context(), &protocol.InitializedParams{}); err != nil {
		t.Fatal(err)
	}
	return e
}

// status waits for the server's end.
func (e *editor) status(t *testing.T) int {
	t.Helper()
	ended := time.AfterFunc(patience, func() { _ = e.cmd.Process.Kill() })
	defer ended.Stop()
	if err := e.cmd.Wait(); err != nil {
		if _, ok := errors.AsType[*exec.ExitError](err); !ok {
			t.Fatal(err)
		}
	}
	return e.cmd.ProcessState.ExitCode()
}

// open opens a file of the server's directory and returns its URI.
func (e *editor) open(t *testing.T, name, text string) protocol.DocumentURI {
	t.Helper()
	u := uri.File(filepath.Join(e.cmd.Dir, name))
	err := e.DidOpen(t.Context(), &protocol.DidOpenTextDocumentParams{
		TextDocument: protocol.TextDocumentItem{URI: u, LanguageID: "plaintext", Version: 1, Text: text},
	})
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// found are the next diagnostics as "line:character RULE".
func (e *editor) found(t *testing.T) []string {
	t.Helper()
	select {
	case p := <-e.published:
		found := []string{}
		for _, d := range p.Diagnostics {
			found = append(found, fmt.Sprintf("%d:%d %v", d.Range.Start.Line, d.Range.Start.Character, d.Code))
		}
		return found
	case <-time.After(patience):
		t.Fatalf("there are no diagnostics; stderr: %s", e.complaint.String())
	}
	return nil
}

// TestEditor opens a Dockerfile, applies a quick fix, and leaves.
func TestEditor(t *testing.T) {
	e := startEditor(t, "--stdio", "--offline", "--clientProcessId=1")
	u := e.open(t, "Dockerfile", "FROM scratch\nLABEL a=\"𝄞\"\nUSER 00\nCMD [\"/x\"]\n")
	if diff := cmp.Diff([]string{"2:5 DH002"}, e.found(t)); diff != "" {
		t.Fatal(diff)
	}
	at := protocol.Range{Start: protocol.Position{Line: 2, Character: 5}, End: protocol.Position{Line: 2, Character: 5}}
	document := protocol.TextDocumentIdentifier{URI: u}
	h, err := e.Hover(t.Context(), &protocol.HoverParams{TextDocumentPositionParams: protocol.TextDocumentPositionParams{TextDocument: document, Position: at.Start}})
	if err != nil || h == nil || !strings.Contains(h.Contents.Value, "# DH002") {
		t.Errorf("hover = %v, %v; want the rule's page", h, err)
	}
	actions, err := e.CodeAction(t.Context(), &protocol.CodeActionParams{TextDocument: document, Range: at})
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(actions, func(a protocol.CodeAction) bool { return strings.HasPrefix(a.Title, "Write ") })
	if i < 0 || len(actions[i].Edit.Changes[u]) != 1 {
		t.Fatalf("there is no fix in %v", actions)
	}
	edit := actions[i].Edit.Changes[u][0]
	err = e.DidChange(t.Context(), &protocol.DidChangeTextDocumentParams{
		TextDocument:   protocol.VersionedTextDocumentIdentifier{TextDocumentIdentifier: document, Version: 2},
		ContentChanges: []protocol.TextDocumentContentChangeEvent{{Range: edit.Range, Text: edit.NewText}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{}, e.found(t)); diff != "" {
		t.Errorf("after the fix %s: %s", edit.NewText, diff)
	}
	if err := errors.Join(e.Shutdown(t.Context()), e.Exit(t.Context())); err != nil {
		t.Fatal(err)
	}
	if status := e.status(t); status != 0 || e.complaint.Len() > 0 {
		t.Errorf("the server exits with %d: %s", status, e.complaint.String())
	}
}

// TestEditorPolicy writes a policy while the editor runs.
func TestEditorPolicy(t *testing.T) {
	e := startEditor(t, "--offline")
	const text = "FROM scratch\nUSER 0\n"
	save := func(policy string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(e.cmd.Dir, "deckhand.yaml"), []byte(policy), 0o600); err != nil {
			t.Fatal(err)
		}
		u := uri.File(filepath.Join(e.cmd.Dir, "deckhand.yaml"))
		if err := e.DidSave(t.Context(), &protocol.DidSaveTextDocumentParams{TextDocument: protocol.TextDocumentIdentifier{URI: u}}); err != nil {
			t.Fatal(err)
		}
	}
	e.open(t, "Dockerfile", text)
	if diff := cmp.Diff([]string{"1:5 DH002"}, e.found(t)); diff != "" {
		t.Error(diff)
	}
	steps := []struct {
		policy string
		want   []string
	}{
		{"version: 1\ncheck:\n  rules: {DH002: off}\n", []string{}},
		{"version: 1\ncheck:\n  nonsense: 1\n", []string{"0:0 DH000"}},
		{"version: 1\ncheck:\n  exclude: [Dockerfile]\n", []string{}},
		{"version: 1\n", []string{"1:5 DH002"}},
	}
	for _, s := range steps {
		save(s.policy)
		if diff := cmp.Diff(s.want, e.found(t)); diff != "" {
			t.Errorf("under the policy %q: %s", s.policy, diff)
		}
	}
}

// TestEditorGone ends the connection without shutdown.
func TestEditorGone(t *testing.T) {
	tests := map[string]func(*testing.T, *editor){
		"exit": func(t *testing.T, e *editor) {
			if err := e.Exit(t.Context()); err != nil {
				t.Fatal(err)
			}
		},
		"gone": func(t *testing.T, e *editor) {
			if err := e.stdin.Close(); err != nil {
				t.Fatal(err)
			}
		},
	}
	for name, leave := range tests {
		t.Run(name, func(t *testing.T) {
			e := startEditor(t)
			leave(t, e)
			if status := e.status(t); status != 1 || !strings.Contains(e.complaint.String(), "without shutdown") {
				t.Errorf("the server exits with %d: %s", status, e.complaint.String())
			}
		})
	}
}

func TestLspUsage(t *testing.T) {
	for _, args := range [][]string{{"lsp", "Dockerfile"}, {"lsp", "--port", "1"}} {
		cmd := program(t, args...)
		out, err := cmd.CombinedOutput()
		if err == nil || cmd.ProcessState.ExitCode() != exitUsage {
			t.Errorf("%q exits with %v: %s", args, err, out)
		}
	}
}

// TestFreshness lets time pass between two checks.
func TestFreshness(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	t.Setenv("DECKHAND_DATA_ROOT", filepath.Join(t.TempDir(), "none"))
	e := &editorChecker{options: &options{texts: load.Texts{}, offline: true, noPolicy: true}, std: files{err: io.Discard}, now: func() time.Time { return now }}
	made := func() time.Time {
		if doc := e.Text(t.Context(), guard.Source{Path: "Dockerfile", Data: []byte("FROM scratch\n")}, guard.KindDockerfile); doc.Err != nil {
			t.Fatal(doc.Err)
		}
		return e.made
	}
	first := made()
	now = now.Add(freshness)
	if !made().Equal(first) {
		t.Error("what was learned of images is forgotten too early")
	}
	now = now.Add(time.Second)
	if made().Equal(first) {
		t.Error("what was learned of images is never forgotten")
	}
}
