package hardencmd

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/rogpeppe/go-internal/diff"
	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/guard/proof"
	"github.com/deckhand-engine/deckhand/internal/hint"
	"github.com/deckhand-engine/deckhand/internal/outfile"
	"github.com/deckhand-engine/deckhand/internal/ui"
)

// proofDir is where --write puts what is no Dockerfile, beside the Dockerfile.
const proofDir = "deckhand-proof"

// outputDir is where files are written; empty: nowhere.
func (o *hardenOptions) outputDir(s *subject) string {
	switch {
	case o.output != "":
		return o.output
	case o.write:
		return filepath.Join(filepath.Dir(s.file), proofDir)
	}
	return ""
}

// checkPlaces finds out before the work whether its results can be written.
func (o *hardenOptions) checkPlaces(s *subject) error {
	if o.write {
		if s.isImage() {
			return &usageError{hint.With(
				fmt.Errorf("--write changes a Dockerfile, and %s is an image", s.arg),
				"write one that begins with it:  deckhand harden --output DIR "+s.arg,
			)}
		}
		if err := mayReplace(s.file); err != nil {
			return fmt.Errorf("write %s: %w", s.file, err)
		}
	}
	if dir := o.outputDir(s); dir != "" {
		return proof.MayWrite(dir)
	}
	return nil
}

// mayReplace reports what keeps a file from being replaced.
func mayReplace(name string) error {
	info, err := os.Lstat(name)
	switch {
	case err != nil:
		return err
	case info.Mode()&fs.ModeSymlink != 0:
		return errors.New("it is a symbolic link: name the file it points to")
	case !info.Mode().IsRegular():
		return errors.New("it is no regular file")
	}
	return unix.Access(filepath.Dir(name), unix.W_OK)
}

// errIrreducible says that the service keeps some privilege. It is reported already.
var errIrreducible = errors.New("some privilege is irreducible")

// deliver writes what was found, and says it.
func (o *hardenOptions) deliver(std files, s *subject, p *proven) error {
	dir := o.outputDir(s)
	p.Command, p.Original = o.workshop.argv, string(s.dockerfile)
	p.Context = s.context
	if s.isImage() {
		p.Context = dir // where the Dockerfile is, which needs none
	}
	if dir != "" {
		if err := proof.Write(dir, p.Proof); err != nil {
			return err
		}
	}
	changed := o.write && !bytes.Equal(s.current, []byte(p.Dockerfile))
	if changed {
		if err := outfile.Replace(s.file, s.current, []byte(p.Dockerfile)); err != nil {
			return hint.With(fmt.Errorf("write %s: %w", s.file, err), "the new one is in "+dir)
		}
	}
	if changed && o.output == "" {
		warnOfCopies(std, s)
	}
	if err := o.report(std, &summary{proven: p, subject: s, dir: dir, changed: changed}); err != nil {
		return err
	}
	if len(p.Profile.Irreducible) > 0 {
		return errIrreducible
	}
	return nil
}

// report prints the result: the proof for programs; for people, what changes where nothing was written, and a summary.
func (o *hardenOptions) report(std files, sum *summary) error {
	if o.format == hardenJSON {
		all, err := proof.Files(sum.Proof)
		if err != nil {
			return err
		}
		_, err = std.out.Write(all[proof.FileName])
		return err
	}
	if sum.dir == "" {
		s := sum.subject
		unified := diff.Diff("a/"+s.source, s.current, "b/"+s.source, []byte(sum.Dockerfile))
		if err := ui.WriteDiff(std.out, ui.Colored(std.out), append(unified, '\n')); err != nil {
			return err
		}
	}
	_, err := std.out.Write([]byte(sum.text()))
	return err
}
