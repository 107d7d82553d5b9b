package checkcmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/rogpeppe/go-internal/diff"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/check"
	"github.com/deckhand-engine/deckhand/internal/outfile"
	"github.com/deckhand-engine/deckhand/internal/ui"
)

// fixAll makes the safe changes of all files, or with --diff only shows them, and returns how many files it could not
// change. The diffs go to stderr where standard output is for a program.
func (o *options) fixAll(ctx context.Context, std files, c *check.Checker, args []string) (unfixed int, err error) {
	args = changeable(args)
	if len(args) == 0 {
		return 0, nil
	}
	w := std.status.Around(std.err)
	run := o.runOptions(nil)
	run.Now = func(path string) { std.status.Set("fixing " + path) }
	err = c.Run(ctx, args, run, func(doc *guard.Document) error {
		err := o.fixFile(ctx, std, c, doc)
		if err == nil || ctx.Err() != nil {
			return err
		}
		unfixed++
		_, err = fmt.Fprintf(w, "deckhand: fix %s: %s\n", ui.Clean(doc.Path), ui.Clean(err.Error()))
		return err
	})
	return unfixed, err
}

// changeable are the arguments that are files or directories. Nothing else can be changed, and a pipe can be read but
// once.
func changeable(args []string) []string {
	return slices.DeleteFunc(slices.Clone(args), func(arg string) bool {
		info, err := os.Stat(arg)
		return err != nil || guard.IsImageAddress(arg) || !info.IsDir() && !info.Mode().IsRegular()
	})
}

// rounds is how often a file is looked at again that somebody else changes meanwhile.
const rounds = 3

// fixFile makes or shows the changes of one file.
func (o *options) fixFile(ctx context.Context, std files, c *check.Checker, doc *guard.Document) error {
	for round := 1; check.Fixable(doc); round++ {
		src := guard.Source{Path: doc.Path, File: doc.Path, Data: doc.Source}
		fixed, findings, err := c.Fix(ctx, src, doc.Kind)
		if err != nil {
			return err
		}
		if o.diff {
			return showDiff(std, doc, fixed)
		}
		err = outfile.Replace(doc.Path, doc.Source, fixed)
		if errors.Is(err, outfile.ErrChanged) && round < rounds {
			if src.Data, err = os.ReadFile(doc.Path); err != nil {
				return err
			}
			doc = c.Text(ctx, src, doc.Kind)
			continue
		}
		if err != nil {
			return err
		}
		s := "es"
		if len(findings) == 1 {
			s = ""
		}
		if err := showDiff(std, doc, fixed); err != nil {
			return err
		}
		_, err = fmt.Fprintf(std.status.Around(std.err), "%s: %d fix%s made\n", ui.Clean(doc.Path), len(findings), s)
		return err
	}
	return nil
}

// showDiff writes what changes.
func showDiff(std files, doc *guard.Document, fixed []byte) error {
	return ui.WriteDiff(std.status.Around(std.err), ui.Colored(std.err), diff.Diff("a/"+doc.Path, doc.Source, "b/"+doc.Path, fixed))
}
