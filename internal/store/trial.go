package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Trials is a store as one process sees it that builds images only to try them. What gets no name there is no dangling
// image, but one that nobody else sees, and that is gone with Close or with its process.
//
// Its records are in a directory of its own below tmp. So several may try the same image, and who has it dangling or
// under a name keeps it: each has a record, and garbage is what none leads to. And as the first record of an image
// is made there, kill -9 leaves no moment at which an image of a trial looks like a user's, or a user's like one of
// a trial. The next Open removes the records of the dead, the next collection what only they led to.
type Trials struct {
	Store *Store

	dir *TempDir
}

// OpenTrials begins trials. The caller closes them.
func (s *Store) OpenTrials() (*Trials, error) {
	dir, err := s.TempDir(trialsPrefix)
	if err != nil {
		return nil, fmt.Errorf("open trials: %w", err)
	}
	view := *s
	view.opts.Trials = filepath.Base(dir.Path)
	return &Trials{&view, dir}, nil
}

// Name is for the Options.Trials of another process that builds for these.
func (t *Trials) Name() string { return t.Store.opts.Trials }

// Close removes the images that nobody else has; safe to call twice.
func (t *Trials) Close(ctx context.Context) error {
	records, _ := readNames(t.dir.Path) // if it cannot be read, it cannot be removed either
	if err := t.dir.Close(); err != nil {
		return fmt.Errorf("close trials: %w", err)
	}
	if len(records) == 0 {
		return nil
	}
	return t.Store.GC(ctx)
}

// trialsPrefix begins the names of trials, before the dash.
const trialsPrefix = "trials"

func isTrials(name string) bool {
	id, ok := strings.CutPrefix(name, trialsPrefix+"-")
	return ok && isHex(id)
}

// keepTrial records an image in these trials. If they have ended meanwhile there is no directory to keep it in.
func (s *Store) keepTrial(img *Image) error {
	path := s.path(tmpDir, s.opts.Trials, img.Target.Digest.Encoded())
	return s.writeJSON(path, &record{Descriptor: img.Target, Config: img.ID}, false)
}

// trialRecords reads the images of some trials; there are none where these have ended.
func (s *Store) trialRecords(name string) ([]*record, error) {
	records, err := s.unnamed(filepath.Join(tmpDir, name))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	return records, err
}

// trials lists the names of all trials, those of the dead among them.
func (s *Store) trials() ([]string, error) {
	names, err := readNames(s.path(tmpDir))
	if err != nil {
		return nil, fmt.Errorf("list trials: %w", err)
	}
	var trials []string
	for _, name := range names {
		if isTrials(name) {
			trials = append(trials, name)
		}
	}
	return trials, nil
}
