package checkcmd

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/deckhand-engine/deckhand/docs"
	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/check"
	"github.com/deckhand-engine/deckhand/guard/lsp"
	"github.com/deckhand-engine/deckhand/internal/version"
)

// freshness is how long what was learned of images is believed. An editor runs for days; images are pulled and
// networks come back.
const freshness = 5 * time.Minute

func newLsp(std files, o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "lsp [OPTIONS]",
		Short: "Serve an editor with what check finds, over stdin and stdout",
		Long: `Serve an editor with what check finds, over stdin and stdout.

It speaks the Language Server Protocol: findings while you type, quick fixes, and each rule's page. Editors start it;
docs/editors.md says how. The nearest deckhand.yaml upwards of a file holds for it.

Exit status: 0 after an orderly shutdown, 1 when the editor left without one, 125 wrong usage.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return &usageError{errors.New("lsp takes no arguments: editors name files over the connection")}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.texts == nil {
				return o.becomeWhole()
			}
			return lsp.Serve(cmd.Context(), std.in, stdout{std.out}, lsp.Options{
				Checker: &editorChecker{options: o, std: std, now: time.Now}, //nolint:forbidigo // the program's clock
				Page:    docs.Page, Version: version.Number(), Log: o.log(std.err),
			})
		},
		DisableFlagsInUseLine: true,
		DisableAutoGenTag:     true,
	}
	f := cmd.Flags()
	f.BoolVar(&o.offline, "offline", false, "ask no registry: an image that is not in the store is unknown")
	f.BoolVar(&o.tlsVerify, "tls-verify", true, "false: accept http and unknown certificates of registries")
	f.Bool("stdio", true, "for editors that say so; there is no other way")
	f.Int("clientProcessId", 0, "for editors that say so; the end of stdin says as much")
	_ = f.MarkHidden("clientProcessId") // the error is for a flag that does not exist
	return cmd
}

// stdout is standard output, which stays open.
type stdout struct{ io.Writer }

// Close does nothing.
func (stdout) Close() error { return nil }

// editorChecker checks each text under the policy that holds for its file now.
type editorChecker struct {
	options *options
	std     files
	now     func() time.Time

	mu   sync.Mutex
	base *check.Checker // remembers images
	made time.Time
}

var _ lsp.Checker = (*editorChecker)(nil)

// Text checks a text. One that the policy excludes has no findings.
func (e *editorChecker) Text(ctx context.Context, src guard.Source, kind guard.Kind) *guard.Document {
	c, err := e.checker(src)
	switch {
	case err != nil:
		return &guard.Document{Path: src.Path, Kind: kind, Source: src.Data, Err: err}
	case src.File != "" && c.Policy.Excluded(src.File):
		return &guard.Document{Path: src.Path, Kind: kind, Source: src.Data}
	}
	return c.Text(ctx, src, kind)
}

// checker is the one for a text.
func (e *editorChecker) checker(src guard.Source) (*check.Checker, error) {
	dir := "."
	if src.File != "" {
		dir = filepath.Dir(src.File)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if now := e.now(); e.base == nil || now.Sub(e.made) > freshness {
		c, err := e.options.checker(e.std, dir)
		if err != nil {
			return nil, err
		}
		e.base, e.made = c, now
	}
	p, err := e.options.findPolicy(dir)
	if err != nil {
		return nil, err
	}
	c := *e.base
	c.Policy = p
	return &c, nil
}
