package lsp

import (
	"encoding/json"

	"github.com/sourcegraph/jsonrpc2"
)

// The errors of the Language Server Protocol 3.17 beyond JSON-RPC's own.
const (
	codeNotInitialized   = -32002
	codeContentModified  = -32801
	codeRequestCancelled = -32800
)

// The kinds of code actions.
const (
	kindQuickFix = "quickfix"
	kindFixAll   = "source.fixAll.deckhand"
)

// The kinds of markup.
const (
	markupMarkdown = "markdown"
	markupPlain    = "plaintext"
)

// position is a place between two characters. Both count from 0; what a character is depends on the [encoding].
type position struct {
	Line      uint32 `json:"line"`
	Character uint32 `json:"character"`
}

// span is a Range of the protocol: its end is exclusive.
type span struct {
	Start position `json:"start"`
	End   position `json:"end"`
}

type initializeParams struct {
	Capabilities struct {
		General struct {
			PositionEncodings []encoding `json:"positionEncodings"`
		} `json:"general"`
		Workspace struct {
			WorkspaceEdit struct {
				DocumentChanges bool `json:"documentChanges"`
			} `json:"workspaceEdit"`
		} `json:"workspace"`
		TextDocument struct {
			Hover struct {
				ContentFormat []string `json:"contentFormat"`
			} `json:"hover"`
		} `json:"textDocument"`
	} `json:"capabilities"`
}

type initializeResult struct {
	Capabilities serverCapabilities `json:"capabilities"`
	ServerInfo   serverInfo         `json:"serverInfo"`
}

type serverInfo struct {
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
}

type serverCapabilities struct {
	PositionEncoding   encoding          `json:"positionEncoding"`
	TextDocumentSync   syncOptions       `json:"textDocumentSync"`
	HoverProvider      bool              `json:"hoverProvider"`
	CodeActionProvider codeActionOptions `json:"codeActionProvider"`
}

type syncOptions struct {
	OpenClose bool `json:"openClose"`
	Change    int  `json:"change"`
	Save      bool `json:"save"`
}

// changeIncremental is the TextDocumentSyncKind of changes that come as ranges.
const changeIncremental = 2

type codeActionOptions struct {
	CodeActionKinds []string `json:"codeActionKinds"`
}

type cancelParams struct {
	ID jsonrpc2.ID `json:"id"`
}

type textDocument struct {
	URI string `json:"uri"`
}

type openParams struct {
	TextDocument struct {
		URI        string `json:"uri"`
		LanguageID string `json:"languageId"`
		Version    int    `json:"version"`
		Text       string `json:"text"`
	} `json:"textDocument"`
}

// changeParams leaves the changes alone, so that the document is known even where a change makes no sense.
type changeParams struct {
	TextDocument struct {
		URI     string `json:"uri"`
		Version int    `json:"version"`
	} `json:"textDocument"`
	ContentChanges []json.RawMessage `json:"contentChanges"`
}

// contentChange replaces a range; where there is none, the whole text.
type contentChange struct {
	Range *span   `json:"range"`
	Text  *string `json:"text"`
}

type documentParams struct {
	TextDocument textDocument `json:"textDocument"`
}

type hoverParams struct {
	TextDocument textDocument `json:"textDocument"`
	Position     *position    `json:"position"`
}

type hover struct {
	Contents markup `json:"contents"`
	Range    span   `json:"range"`
}

type markup struct {
	Kind  string `json:"kind"`
	Value string `json:"value"`
}

type codeActionParams struct {
	TextDocument textDocument `json:"textDocument"`
	Range        *span        `json:"range"`
	Context      struct {
		Only []string `json:"only"`
	} `json:"context"`
}

type codeAction struct {
	Title       string        `json:"title"`
	Kind        string        `json:"kind"`
	Diagnostics []diagnostic  `json:"diagnostics,omitempty"`
	IsPreferred bool          `json:"isPreferred,omitempty"`
	Edit        workspaceEdit `json:"edit"`
}

// workspaceEdit has one of the two, as the client understands it.
type workspaceEdit struct {
	Changes         map[string][]textEdit `json:"changes,omitempty"`
	DocumentChanges []documentEdit        `json:"documentChanges,omitempty"`
}

type documentEdit struct {
	TextDocument struct {
		URI     string `json:"uri"`
		Version int    `json:"version"`
	} `json:"textDocument"`
	Edits []textEdit `json:"edits"`
}

type textEdit struct {
	Range   span   `json:"range"`
	NewText string `json:"newText"`
}

type publishParams struct {
	URI         string       `json:"uri"`
	Version     *int         `json:"version,omitempty"`
	Diagnostics []diagnostic `json:"diagnostics"`
}

type diagnostic struct {
	Range           span             `json:"range"`
	Severity        int              `json:"severity"`
	Code            string           `json:"code"`
	CodeDescription *codeDescription `json:"codeDescription,omitempty"`
	Source          string           `json:"source"`
	Message         string           `json:"message"`
}

type codeDescription struct {
	Href string `json:"href"`
}

type logMessageParams struct {
	Type    int    `json:"type"`
	Message string `json:"message"`
}

// messageError is the MessageType of errors.
const messageError = 1

// invalidParams is the error for a request that does not say what it must.
func invalidParams(text string) error {
	return &jsonrpc2.Error{Code: jsonrpc2.CodeInvalidParams, Message: text}
}

// decode reads a message's params.
func decode(params *json.RawMessage, into any) error {
	if params == nil {
		return invalidParams("params are missing")
	}
	if err := json.Unmarshal(*params, into); err != nil {
		return invalidParams(err.Error())
	}
	return nil
}
