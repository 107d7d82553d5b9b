// Package unchanged recognises a build that has nothing to do, without loading what builds.
//
// A build that found every step in the cache leaves a record: what it was told, a signature of every file it may
// have read, the images it started from and made, and what it printed. A later build with the same command line
// that finds all of it the same prints the same and is done. Whatever differs, or cannot be told, makes it a
// build like any other; so a record is never wrong, only useless. Signatures are made of metadata alone (device,
// inode, size, mode, owner, modification and change time), as make and git do it, and a file that changed too
// shortly before it was looked at has none.
package unchanged

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/deckhand-engine/deckhand/internal/store"
)

// Command is one call of deckhand-build.
type Command struct {
	Root    string   // the data root
	Program string   // path of deckhand-build
	Args    []string // without the program's name
	Dir     string   // the working directory
	Env     []string
}

// Record is what a build with nothing to do leaves.
type Record struct {
	Circumstances string // digest of program and environment
	Inputs        Inputs
	Signature     string                   // of the inputs
	Images        map[string]digest.Digest // references, of base images and of the result, to manifests
	Result        digest.Digest            // image id
	Stdout        string
	Stderr        string
}

// ignoredEnv are variables that change from call to call and that no build looks at.
var ignoredEnv = []string{"_=", "SHLVL=", "OLDPWD=", "DECKHAND_MOUNTNS="}

// circumstances is a digest of what else a build's result may depend on.
func (c Command) circumstances() (string, error) {
	program, err := os.Stat(c.Program)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	addFile(h, "", program)
	env := slices.Sorted(slices.Values(c.Env))
	for _, e := range env {
		if !slices.ContainsFunc(ignoredEnv, func(p string) bool { return strings.HasPrefix(e, p) }) {
			_, _ = fmt.Fprintf(h, "%q\n", e) // a hash takes everything
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// path is where the command's record is kept.
func (c Command) path() string {
	h := sha256.New()
	_, _ = fmt.Fprintf(h, "1 %q %q\n", c.Dir, c.Args) // a hash takes everything
	return filepath.Join(c.Root, "cache", "unchanged", hex.EncodeToString(h.Sum(nil)))
}

// Known reports whether there is a record of the command at all.
func (c Command) Known() bool {
	_, err := os.Lstat(c.path())
	return err == nil
}

// Find returns the command's record if nothing has changed since it was written.
func (c Command) Find(ctx context.Context, s *store.Store) (*Record, bool) {
	data, err := os.ReadFile(c.path())
	if err != nil {
		return nil, false
	}
	var r Record
	if json.Unmarshal(data, &r) != nil {
		return nil, false
	}
	now, err := c.circumstances()
	if err != nil || now != r.Circumstances {
		return nil, false
	}
	if sig, err := r.Inputs.sign(); err != nil || sig.digest != r.Signature {
		return nil, false
	}
	if !r.imagesStand(ctx, s) {
		return nil, false
	}
	return &r, true
}

// imagesStand reports whether every reference still names the image it named, and the result can be run.
func (r *Record) imagesStand(ctx context.Context, s *store.Store) bool {
	for name, want := range r.Images {
		img, err := s.Image(ctx, name)
		if err != nil || img.Target.Digest != want {
			return false
		}
	}
	img, err := s.Image(ctx, r.Result.String())
	return err == nil && s.HasLayers(img)
}

// Save keeps the record for the next build; the caller has filled in all but Circumstances and Signature.
func (c Command) Save(r Record, before Signature) error {
	var err error
	if r.Circumstances, err = c.circumstances(); err != nil {
		return err
	}
	r.Signature = before.digest
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	path := c.path()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".new-")
	if err != nil {
		return err
	}
	_, err = tmp.Write(data)
	if closeErr := tmp.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		_ = os.Remove(tmp.Name()) // gone if it was renamed
	}
	return err
}
