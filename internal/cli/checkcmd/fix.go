package checkcmd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/rogpeppe/go-internal/diff"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/check"
	"github.com/deckhand-engine/deckhand/internal/ui"
)

// fixAll makes the safe changes of all files, or with --diff only shows them. The diffs go to stderr where standard
// output is for a program.
func (o *options) fixAll(ctx context.Context, std files, c *check.Checker, args []string) error {
	run := check.RunOptions{Kind: o.textKind(), SkipUnknown: o.skip, Stdin: bytes.NewReader(nil), Jobs: o.jobs}
	return c.Run(ctx, args, run, func(doc *guard.Document) error {
		if doc.Path == "-" || !check.Fixable(doc) {
			return nil
		}
		src := guard.Source{Path: doc.Path, File: doc.Path, Data: doc.Source}
		fixed, findings, err := c.Fix(ctx, src, doc.Kind)
		if err != nil {
			return fmt.Errorf("fix %s: %w", doc.Path, err)
		}
		if err := showDiff(std.err, doc, fixed); err != nil || o.diff {
			return err
		}
		if err := replace(doc.Path, doc.Source, fixed); err != nil {
			return fmt.Errorf("fix %s: %w", doc.Path, err)
		}
		s := "es"
		if len(findings) == 1 {
			s = ""
		}
		_, err = fmt.Fprintf(std.err, "%s: %d fix%s made\n", ui.Clean(doc.Path), len(findings), s)
		return err
	})
}

// showDiff writes what changes.
func showDiff(w io.Writer, doc *guard.Document, fixed []byte) error {
	for line := range bytes.Lines(diff.Diff("a/"+doc.Path, doc.Source, "b/"+doc.Path, fixed)) {
		text := ui.Clean(string(bytes.TrimSuffix(line, []byte("\n"))))
		switch {
		case bytes.HasPrefix(line, []byte("+")):
			text = ui.Paint(w, ui.Green, text)
		case bytes.HasPrefix(line, []byte("-")):
			text = ui.Paint(w, ui.Red, text)
		case bytes.HasPrefix(line, []byte("diff ")):
			continue
		}
		if _, err := io.WriteString(w, text+"\n"); err != nil {
			return err
		}
	}
	return nil
}

// errChanged says that somebody else wrote the file meanwhile.
var errChanged = errors.New("it changed while it was checked; run the command again")

// replace puts fixed in the place of a file that still holds was: whole or not at all, with its mode and owner.
func replace(name string, was, fixed []byte) error {
	info, err := os.Lstat(name)
	if err != nil {
		return err
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		return errors.New("it is a symbolic link: name the file it points to")
	}
	if now, err := os.ReadFile(name); err != nil {
		return err
	} else if !bytes.Equal(now, was) {
		return errChanged
	}
	temp, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*")
	if err != nil {
		return err
	}
	out := &output{temp, temp, name}
	if _, err := temp.Write(fixed); err != nil {
		out.discard()
		return err
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		_ = temp.Chown(int(st.Uid), int(st.Gid)) // who may not give files away owns it then, as with an editor
	}
	return out.finish(info.Mode().Perm())
}
