package lsp

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"github.com/sourcegraph/jsonrpc2"
)

// answer makes the result of a request, beside the reading of further messages.
type answer func(context.Context) (any, error)

// Handle takes one message, in the order they come. Requests take what they need of the documents at once and are
// answered later, so that a slow check delays nobody.
func (s *server) Handle(ctx context.Context, conn *jsonrpc2.Conn, req *jsonrpc2.Request) {
	if req.Notif {
		if err := s.notification(ctx, conn, req); err != nil {
			s.Log.Warn("notification", "method", req.Method, "error", err)
		}
		return
	}
	now, later, err := s.request(req)
	if later == nil || err != nil {
		s.reply(ctx, conn, req.ID, now, err)
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	s.mu.Lock()
	s.calls[req.ID] = cancel
	s.mu.Unlock()
	started := s.start(func() {
		defer cancel()
		result, err := later(ctx)
		s.mu.Lock()
		delete(s.calls, req.ID)
		s.mu.Unlock()
		s.reply(ctx, conn, req.ID, result, err)
	})
	if !started {
		cancel()
	}
}

// reply answers a request.
func (s *server) reply(ctx context.Context, conn *jsonrpc2.Conn, id jsonrpc2.ID, result any, err error) {
	response := &jsonrpc2.Response{ID: id}
	if err == nil {
		err = response.SetResult(result)
	}
	if err != nil {
		response.Error = responseError(err)
	}
	if err := conn.SendResponse(ctx, response); err != nil {
		s.Log.Debug("reply", "id", id, "error", err) // the client is gone: reading notices it as well
	}
}

// responseError is an error as JSON-RPC says it.
func responseError(err error) *jsonrpc2.Error {
	e, ok := errors.AsType[*jsonrpc2.Error](err)
	switch {
	case ok:
		return e
	case errors.Is(err, context.Canceled):
		return &jsonrpc2.Error{Code: codeRequestCancelled, Message: "cancelled"}
	}
	return &jsonrpc2.Error{Code: jsonrpc2.CodeInternalError, Message: err.Error()}
}

// request answers at once, or says how it will be answered.
func (s *server) request(req *jsonrpc2.Request) (now any, later answer, err error) {
	switch at := s.phase(); {
	case at == shutDown:
		return nil, nil, &jsonrpc2.Error{Code: jsonrpc2.CodeInvalidRequest, Message: "the server is shut down"}
	case at == created && req.Method != "initialize":
		return nil, nil, &jsonrpc2.Error{Code: codeNotInitialized, Message: "the server is not initialized"}
	}
	switch req.Method {
	case "initialize":
		now, err = s.initialize(req.Params)
	case "shutdown":
		s.shutdown()
	case "textDocument/codeAction":
		later, err = s.codeAction(req.Params)
	case "textDocument/hover":
		later, err = s.hover(req.Params)
	default:
		err = &jsonrpc2.Error{Code: jsonrpc2.CodeMethodNotFound, Message: "there is no method " + req.Method}
	}
	return now, later, err
}

// notification takes a message that has no answer. Those that nobody knows are none of our business.
func (s *server) notification(ctx context.Context, conn *jsonrpc2.Conn, req *jsonrpc2.Request) error {
	if req.Method == "exit" {
		s.exitOnce.Do(func() { close(s.exit) })
		return nil
	}
	if s.phase() != initialized {
		return nil
	}
	switch req.Method {
	case "$/cancelRequest":
		return s.cancel(req.Params)
	case "textDocument/didOpen":
		return s.didOpen(ctx, conn, req.Params)
	case "textDocument/didChange":
		return s.didChange(ctx, conn, req.Params)
	case "textDocument/didSave":
		return s.didSave(ctx, conn, req.Params)
	case "textDocument/didClose":
		return s.didClose(ctx, conn, req.Params)
	}
	return nil
}

// initialize says what the server can, and takes down what the client can.
func (s *server) initialize(params *json.RawMessage) (*initializeResult, error) {
	var p initializeParams
	if err := decode(params, &p); err != nil {
		return nil, err
	}
	can := p.Capabilities
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.at != created {
		return nil, &jsonrpc2.Error{Code: jsonrpc2.CodeInvalidRequest, Message: "the server is initialized already"}
	}
	s.at = initialized
	s.client = client{
		unit:            choose(can.General.PositionEncodings),
		documentChanges: can.Workspace.WorkspaceEdit.DocumentChanges,
		plainHover:      !markdown(can.TextDocument.Hover.ContentFormat),
	}
	return &initializeResult{
		Capabilities: serverCapabilities{
			PositionEncoding:   s.client.unit,
			TextDocumentSync:   syncOptions{OpenClose: true, Change: changeIncremental, Save: true},
			HoverProvider:      true,
			CodeActionProvider: codeActionOptions{CodeActionKinds: []string{kindQuickFix, kindFixAll}},
		},
		ServerInfo: serverInfo{Name: "deckhand", Version: s.Version},
	}, nil
}

// markdown reports whether a client shows Markdown; those that say nothing of it do.
func markdown(formats []string) bool {
	return len(formats) == 0 || slices.Contains(formats, markupMarkdown)
}

// shutdown ends all checks. The connection stays for exit.
func (s *server) shutdown() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at = shutDown
	for _, i := range s.documents {
		i.cancel()
	}
	clear(s.documents)
	for _, cancel := range s.calls {
		cancel()
	}
}

// cancel ends a request early. It may be answered already.
func (s *server) cancel(params *json.RawMessage) error {
	var p cancelParams
	if err := decode(params, &p); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if cancel := s.calls[p.ID]; cancel != nil {
		cancel()
	}
	return nil
}
