package unchanged

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// Inputs are what a build reads from the host.
type Inputs struct {
	Dirs  []string // build contexts, with everything below them
	Files []string // files outside them, or not there
}

// maxEntries bounds the files that are looked at: a larger context is better told apart by the build itself.
const maxEntries = 4000

// settled is how long ago a file must have changed for its times to tell the next change.
const settled = 2 * time.Second

var errTooMany = errors.New("too many files")

// Signature stands for the state of Inputs.
type Signature struct {
	digest string
	newest time.Time // the last change of any of them
}

// Sign looks at the inputs. ok is false where a later change might not be seen, now being the time.
func (in Inputs) Sign(now time.Time) (sig Signature, ok bool) {
	sig, err := in.sign()
	return sig, err == nil && now.Sub(sig.newest) > settled
}

func (in Inputs) sign() (Signature, error) {
	s := signer{Hash: sha256.New()}
	for _, f := range in.Files {
		if err := s.file(f); err != nil {
			return Signature{}, err
		}
	}
	for _, d := range in.Dirs {
		if err := s.dir(d); err != nil {
			return Signature{}, err
		}
	}
	return Signature{digest: hex.EncodeToString(s.Sum(nil)), newest: s.newest}, nil
}

type signer struct {
	hash.Hash

	entries int
	newest  time.Time
}

// file adds a file, and what it links to.
func (s *signer) file(path string) error {
	for _, stat := range []func(string) (fs.FileInfo, error){os.Lstat, os.Stat} {
		fi, err := stat(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			_, _ = fmt.Fprintf(s, "%q is missing\n", path) // a hash takes everything
		case err != nil:
			return err
		default:
			s.add(path, fi)
		}
	}
	return nil
}

// dir adds a directory and all that is below it, without following links; dir itself may be one.
func (s *signer) dir(dir string) error {
	if err := s.file(dir); err != nil {
		return err
	}
	return filepath.WalkDir(dir+"/.", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if s.entries++; s.entries > maxEntries {
			return errTooMany
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		s.add(path, fi)
		return nil
	})
}

func (s *signer) add(path string, fi fs.FileInfo) {
	if t := addFile(s, path, fi); t.After(s.newest) {
		s.newest = t
	}
}

// addFile adds a file's identity and metadata to h and returns the time of its last change.
func addFile(h hash.Hash, path string, fi fs.FileInfo) time.Time {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return time.Now() //nolint:forbidigo // cannot happen on Linux; never settled
	}
	_, _ = fmt.Fprintf(h, "%q %d %d %o %d %d %d %d %d.%09d %d.%09d\n", path, st.Dev, st.Ino, st.Mode, st.Uid, st.Gid,
		st.Rdev, st.Size, st.Mtim.Sec, st.Mtim.Nsec, st.Ctim.Sec, st.Ctim.Nsec) // a hash takes everything
	return time.Unix(st.Ctim.Unix())
}
