package build

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/moby/patternmatcher"
	"golang.org/x/sys/unix"
)

// hasher digests what selectors see of a tree: names, modes, owners (not of a build context: its files become
// root's), link targets, device numbers, extended attributes and content; no times.
type hasher struct {
	t     *tree
	files *digestFile // content digests of a build context from earlier builds; nil: none
	h     hash.Hash
}

// treeDigest is the digest of what the selectors see. A path that must be there and is not: notFoundError.
func treeDigest(ctx context.Context, t *tree, sels []selector, files *digestFile) (string, error) {
	h := &hasher{t: t, files: files, h: sha256.New()}
	sels = slices.Clone(sels)
	slices.SortFunc(sels, func(a, b selector) int { return strings.Compare(a.String(), b.String()) })
	for _, sel := range sels {
		h.put("selector", sel.String())
		if err := h.selected(ctx, sel); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(h.h.Sum(nil)), nil
}

// put adds strings unambiguously.
func (h *hasher) put(ss ...string) {
	for _, s := range ss {
		_, _ = fmt.Fprintf(h.h, "%d:%s\n", len(s), s) // a hash never fails
	}
}

func (h *hasher) selected(ctx context.Context, sel selector) error {
	if len(sel.includes) > 0 {
		for _, p := range sel.required {
			if _, err := h.t.present(p, false); err != nil {
				return err
			}
		}
	}
	srcs, err := h.t.sources(sel)
	if err != nil {
		return err
	}
	for _, src := range srcs {
		h.put("source", filepath.Base(src.name))
		if err := h.source(ctx, src.rel, sel); err != nil {
			return err
		}
	}
	return nil
}

func (h *hasher) source(ctx context.Context, rel string, sel selector) error {
	f, err := newFilter(sel.includes, sel.exclude)
	if err != nil {
		return err
	}
	if f != nil && f.literal() {
		return h.literals(ctx, rel, sel)
	}
	entries, _, err := h.t.walk(ctx, rel)
	if err != nil {
		return err
	}
	if f != nil {
		if entries, err = f.keep(entries); err != nil {
			return err
		}
	}
	return h.entries(rel, entries)
}

// literals spares a walk through the whole tree where the patterns are plain paths, as for owners' names.
func (h *hasher) literals(ctx context.Context, rel string, sel selector) error {
	for _, p := range sel.includes {
		sub, err := h.t.present(filepath.Join(rel, p), false)
		h.put("include", p)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		entries, _, err := h.t.walk(ctx, sub)
		if err != nil {
			return err
		}
		if err := h.entries(sub, entries); err != nil {
			return err
		}
		for dir := filepath.Dir(sub); dir != "." && dir != rel; dir = filepath.Dir(dir) {
			fi, err := os.Lstat(h.t.host(dir))
			if err != nil {
				return fmt.Errorf("read %s: %w", dir, errors.Unwrap(err))
			}
			if err := h.entry(dir, entry{".", fi}); err != nil {
				return err
			}
		}
	}
	return nil
}

func (h *hasher) entries(rel string, entries []entry) error {
	for _, e := range entries {
		if err := h.entry(rel, e); err != nil {
			return err
		}
	}
	return nil
}

func (h *hasher) entry(rel string, e entry) error {
	st, ok := e.info.Sys().(*syscall.Stat_t)
	if !ok {
		return fmt.Errorf("read %s: no stat", e.path)
	}
	host := h.t.host(filepath.Join(rel, e.path))
	h.put(e.path, fmt.Sprintf("%o", st.Mode))
	if !h.t.local {
		h.put(fmt.Sprintf("%d %d", st.Uid, st.Gid))
	}
	if err := h.xattrs(host, e.info); err != nil {
		return err
	}
	switch {
	case e.info.Mode().IsRegular():
		dgst, err := h.file(host, st)
		if err != nil {
			return fmt.Errorf("read %s: %w", e.path, err)
		}
		h.put(dgst)
	case e.info.Mode()&fs.ModeSymlink != 0:
		target, err := os.Readlink(host)
		if err != nil {
			return fmt.Errorf("read link %s: %w", e.path, errors.Unwrap(err))
		}
		h.put(target)
	case e.info.Mode()&fs.ModeDevice != 0:
		h.put(fmt.Sprint(st.Rdev))
	}
	return nil
}

// file is the content's digest, from an earlier build where the file is certainly unchanged.
func (h *hasher) file(host string, st *syscall.Stat_t) (string, error) {
	if h.files != nil {
		if d, ok := h.files.get(st); ok {
			return string(d[:]), nil
		}
	}
	d, err := fileDigest(host)
	if err != nil {
		return "", err
	}
	if h.files != nil {
		h.files.put(st, d)
	}
	return string(d[:]), nil
}

// fileDigest reads a regular file; it never follows a link and never blocks on a pipe put in its place.
func fileDigest(host string) (d [sha256.Size]byte, err error) {
	f, err := os.OpenFile(host, openFlags, 0)
	if err != nil {
		return d, errors.Unwrap(err)
	}
	defer func() { _ = f.Close() }() // it was only read
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return d, err
	}
	return [sha256.Size]byte(h.Sum(nil)), nil
}

// xattrs adds the attributes a copy would carry: overlay's own never are, SELinux labels are the host's.
func (h *hasher) xattrs(host string, fi fs.FileInfo) error {
	if fi.Mode()&fs.ModeSymlink != 0 {
		return nil
	}
	buf := make([]byte, 1024)
	n, err := unix.Llistxattr(host, buf)
	if errors.Is(err, unix.ERANGE) {
		buf = make([]byte, 1<<16)
		n, err = unix.Llistxattr(host, buf)
	}
	if err != nil || n == 0 {
		return ignoreNoXattrs(err)
	}
	names := strings.Split(strings.TrimRight(string(buf[:n]), "\x00"), "\x00")
	slices.Sort(names)
	val := make([]byte, 1<<16)
	for _, name := range names {
		if strings.Contains(name, ".overlay.") || name == "security.selinux" {
			continue
		}
		n, err := unix.Lgetxattr(host, name, val)
		if err != nil {
			return ignoreNoXattrs(err)
		}
		h.put("xattr", name, string(val[:n]))
	}
	return nil
}

func ignoreNoXattrs(err error) error {
	if err == nil || errors.Is(err, unix.ENOTSUP) || errors.Is(err, unix.ENODATA) || errors.Is(err, unix.EPERM) {
		return nil
	}
	return fmt.Errorf("read extended attributes: %w", err)
}

// filter is --parents' include and --exclude's patterns, relative to the source of a copy.
type filter struct {
	include, exclude *patternmatcher.PatternMatcher
	patterns         []string
}

// newFilter returns nil where there are no patterns.
func newFilter(include, exclude []string) (*filter, error) {
	if len(include) == 0 && len(exclude) == 0 {
		return nil, nil
	}
	f := &filter{patterns: include}
	var err error
	if len(include) > 0 {
		if f.include, err = patternmatcher.New(include); err != nil {
			return nil, fmt.Errorf("parse include patterns: %w", err)
		}
	}
	if len(exclude) > 0 {
		if f.exclude, err = patternmatcher.New(exclude); err != nil {
			return nil, fmt.Errorf("parse exclude patterns: %w", err)
		}
	}
	return f, nil
}

// literal reports whether the filter names plain paths only.
func (f *filter) literal() bool {
	if f.exclude != nil || f.include == nil {
		return false
	}
	return !slices.ContainsFunc(f.patterns, func(p string) bool { return strings.ContainsAny(p, `*?[\!`) })
}

// keep returns the entries that match, and the directories above them.
func (f *filter) keep(entries []entry) ([]entry, error) {
	kept := make([]entry, 0, len(entries))
	var above []entry // the directories above the current entry that are not kept yet
	inc, exc := map[string]patternmatcher.MatchInfo{}, map[string]patternmatcher.MatchInfo{}
	for _, e := range entries {
		for len(above) > 0 && !isBelow(e.path, above[len(above)-1].path) {
			above = above[:len(above)-1]
		}
		ok, err := f.matches(e.path, inc, exc)
		if err != nil {
			return nil, err
		}
		switch {
		case ok:
			kept = append(append(kept, above...), e)
			above = above[:0]
		case e.info.IsDir():
			above = append(above, e)
		}
	}
	return kept, nil
}

func isBelow(p, dir string) bool { return dir == "." || strings.HasPrefix(p, dir+"/") }

func (f *filter) matches(p string, inc, exc map[string]patternmatcher.MatchInfo) (bool, error) {
	if p == "." {
		return f.include == nil, nil
	}
	ok := true
	if f.include != nil {
		m, info, err := f.include.MatchesUsingParentResults(p, inc[filepath.Dir(p)])
		if err != nil {
			return false, fmt.Errorf("match include patterns: %w", err)
		}
		inc[p], ok = info, m
	}
	if f.exclude != nil {
		m, info, err := f.exclude.MatchesUsingParentResults(p, exc[filepath.Dir(p)])
		if err != nil {
			return false, fmt.Errorf("match exclude patterns: %w", err)
		}
		exc[p], ok = info, ok && !m
	}
	return ok, nil
}
