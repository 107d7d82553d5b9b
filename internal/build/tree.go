package build

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	securejoin "github.com/cyphar/filepath-securejoin"
	"github.com/moby/patternmatcher"
)

// tree is a directory that steps read from: a build context, or a mounted snapshot. Paths are taken inside
// it: no symlink and no ".." leads out.
type tree struct {
	dir    string
	local  bool                           // a build context: everything in it belongs to root once copied
	ignore *patternmatcher.PatternMatcher // .dockerignore; nil: nothing is ignored
}

// notFoundError is a source that a step asks for and that is not there.
type notFoundError struct {
	path    string
	ignored bool // it is there, but .dockerignore hides it
}

// Error is BuildKit's wording.
func (e *notFoundError) Error() string {
	if e.ignored {
		return fmt.Sprintf("%q: not found: .dockerignore excludes it", e.path)
	}
	return fmt.Sprintf("%q: not found", e.path)
}

// Is makes it a fs.ErrNotExist.
func (*notFoundError) Is(target error) bool { return target == fs.ErrNotExist }

// newTree is a build context below dir without what the patterns exclude.
func newTree(dir string, excludes []string) (*tree, error) {
	t := &tree{dir: dir, local: true}
	if len(excludes) == 0 {
		return t, nil
	}
	m, err := patternmatcher.New(excludes)
	if err != nil {
		return nil, fmt.Errorf("parse .dockerignore: %w", err)
	}
	t.ignore = m
	return t, nil
}

// host is where rel lies on this machine.
func (t *tree) host(rel string) string { return filepath.Join(t.dir, rel) }

// resolve returns p's path relative to the tree, symlinks resolved inside it; the last component's own only
// when follow is set.
func (t *tree) resolve(p string, follow bool) (string, error) {
	p = path.Join("/", p)
	dir, last := path.Split(p)
	if follow {
		dir, last = p, ""
	}
	abs, err := securejoin.SecureJoin(t.dir, dir)
	if err != nil {
		return "", fmt.Errorf("resolve %s: %w", p, err)
	}
	rel, err := filepath.Rel(t.dir, filepath.Join(abs, last))
	if err != nil {
		return "", fmt.Errorf("resolve %s: %w", p, err)
	}
	return rel, nil
}

// ignored reports whether .dockerignore hides rel itself.
func (t *tree) ignored(rel string) (bool, error) {
	if t.ignore == nil || rel == "." {
		return false, nil
	}
	m, err := t.ignore.MatchesOrParentMatches(rel)
	if err != nil {
		return false, fmt.Errorf("match .dockerignore: %w", err)
	}
	return m, nil
}

// sourcePath is a source of a copy: the name it has in the tree, and where that leads, both relative.
type sourcePath struct{ name, rel string }

// sources are the paths a selector names, wildcards expanded; at least one unless it is a wildcard.
func (t *tree) sources(sel selector) ([]sourcePath, error) {
	names := []string{path.Join("/", sel.path)[1:]}
	if sel.wildcard && hasWildcard(sel.path) {
		var err error
		if names, err = t.glob(sel.path); err != nil {
			return nil, err
		}
	}
	out := make([]sourcePath, len(names))
	for i, name := range names {
		rel, err := t.present(name, sel.follow)
		if err != nil {
			return nil, err
		}
		out[i] = sourcePath{name, rel}
	}
	return out, nil
}

// present resolves a path that must be there.
func (t *tree) present(p string, follow bool) (string, error) {
	rel, err := t.resolve(p, follow)
	if err != nil {
		return "", err
	}
	fi, err := os.Lstat(t.host(rel))
	if errors.Is(err, fs.ErrNotExist) || isNotDir(err) {
		return "", &notFoundError{path: path.Join("/", p)}
	}
	if err != nil {
		return "", fmt.Errorf("read %s: %w", p, errors.Unwrap(err))
	}
	ign, err := t.ignored(rel)
	if err != nil {
		return "", err
	}
	if ign && (!fi.IsDir() || !t.mayUnignoreBelow(rel)) {
		return "", &notFoundError{path: path.Join("/", p), ignored: true}
	}
	return rel, nil
}

// glob expands a pattern component by component (filepath.Match's syntax: * does not match a slash).
func (t *tree) glob(pattern string) ([]string, error) {
	matches := []string{"."}
	for comp := range strings.SplitSeq(strings.Trim(path.Clean("/"+pattern), "/"), "/") {
		var next []string
		for _, m := range matches {
			found, err := t.globIn(m, comp)
			if err != nil {
				return nil, err
			}
			next = append(next, found...)
		}
		matches = next
	}
	var out []string
	for _, m := range matches {
		ign, err := t.ignored(m)
		if err != nil {
			return nil, err
		}
		if !ign {
			out = append(out, m)
		}
	}
	slices.Sort(out)
	return out, nil
}

func (t *tree) globIn(rel, comp string) ([]string, error) {
	if !hasWildcard(comp) {
		p := filepath.Join(rel, strings.ReplaceAll(comp, `\`, ""))
		dir, err := t.resolve(filepath.Dir(p), true)
		if err != nil {
			return nil, err
		}
		if _, err := os.Lstat(t.host(filepath.Join(dir, filepath.Base(p)))); err != nil {
			return nil, nil //nolint:nilerr // a pattern that matches nothing is no error
		}
		return []string{filepath.Join(dir, filepath.Base(p))}, nil
	}
	dir, err := t.resolve(rel, true)
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(t.host(dir))
	if err != nil {
		return nil, nil //nolint:nilerr // no directory: nothing matches
	}
	var out []string
	for _, e := range entries {
		ok, err := filepath.Match(comp, e.Name())
		if err != nil {
			return nil, fmt.Errorf("match %q: %w", comp, err)
		}
		if ok {
			out = append(out, filepath.Join(dir, e.Name()))
		}
	}
	return out, nil
}

// hasWildcard reports whether filepath.Match would treat name as a pattern.
func hasWildcard(name string) bool {
	for i := 0; i < len(name); i++ {
		switch name[i] {
		case '*', '?', '[':
			return true
		case '\\':
			i++
		}
	}
	return false
}

// entry is a file found by walk: path is relative to where the walk began, "." for that itself.
type entry struct {
	path string
	info fs.FileInfo
}

// walk lists what is below rel, rel included, parents first, names sorted. hidden are the topmost paths that
// .dockerignore takes away, relative to rel.
func (t *tree) walk(ctx context.Context, rel string) (entries []entry, hidden []string, err error) {
	fi, err := os.Lstat(t.host(rel))
	if err != nil {
		return nil, nil, fmt.Errorf("read %s: %w", rel, errors.Unwrap(err))
	}
	w := &walker{tree: t, ctx: ctx.Err, base: rel}
	parent, err := t.parentMatch(rel)
	if err != nil {
		return nil, nil, err
	}
	err = w.visit(".", fi, parent)
	return w.entries, w.hidden, err
}

// parentMatch is the matcher's state for the directory above rel.
func (t *tree) parentMatch(rel string) (patternmatcher.MatchInfo, error) {
	var info patternmatcher.MatchInfo
	if t.ignore == nil || rel == "." {
		return info, nil
	}
	dir := ""
	for c := range strings.SplitSeq(filepath.Dir(rel), "/") {
		dir = filepath.Join(dir, c)
		if dir == "." || dir == "" {
			continue
		}
		var err error
		if _, info, err = t.ignore.MatchesUsingParentResults(dir, info); err != nil {
			return info, fmt.Errorf("match .dockerignore: %w", err)
		}
	}
	return info, nil
}

type walker struct {
	tree    *tree
	ctx     func() error
	base    string
	entries []entry
	hidden  []string
}

// visit adds sub and what is below.
func (w *walker) visit(sub string, fi fs.FileInfo, parent patternmatcher.MatchInfo) error {
	if err := w.ctx(); err != nil {
		return err
	}
	full := filepath.Join(w.base, sub)
	ignored, info, err := w.match(full, parent)
	if err != nil {
		return err
	}
	if ignored && (!fi.IsDir() || !w.tree.mayUnignoreBelow(full)) {
		w.hidden = append(w.hidden, sub)
		return nil
	}
	at, hid := len(w.entries), len(w.hidden)
	w.entries = append(w.entries, entry{sub, fi})
	if fi.IsDir() {
		if err := w.children(sub, info); err != nil {
			return err
		}
	}
	if ignored && len(w.entries) == at+1 { // nothing below was taken back in
		w.entries = w.entries[:at]
		w.hidden = append(w.hidden[:hid], sub)
	}
	return nil
}

func (w *walker) match(full string, parent patternmatcher.MatchInfo) (bool, patternmatcher.MatchInfo, error) {
	if w.tree.ignore == nil || full == "." {
		return false, parent, nil
	}
	m, info, err := w.tree.ignore.MatchesUsingParentResults(full, parent)
	if err != nil {
		return false, info, fmt.Errorf("match .dockerignore: %w", err)
	}
	return m, info, nil
}

func (w *walker) children(sub string, info patternmatcher.MatchInfo) error {
	des, err := os.ReadDir(w.tree.host(filepath.Join(w.base, sub)))
	if err != nil {
		return fmt.Errorf("read directory %s: %w", sub, errors.Unwrap(err))
	}
	slices.SortFunc(des, func(a, b fs.DirEntry) int { return cmp.Compare(a.Name(), b.Name()) })
	for _, de := range des {
		fi, err := de.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // gone since the directory was read
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", filepath.Join(sub, de.Name()), errors.Unwrap(err))
		}
		if err := w.visit(filepath.Join(sub, de.Name()), fi, info); err != nil {
			return err
		}
	}
	return nil
}

// mayUnignoreBelow reports whether a "!pattern" could match something below the directory rel; when in doubt,
// yes.
func (t *tree) mayUnignoreBelow(rel string) bool {
	if t.ignore == nil || !t.ignore.Exclusions() {
		return false
	}
	dir := strings.Split(rel, "/")
	for _, p := range t.ignore.Patterns() {
		if p.Exclusion() && mayMatchBelow(strings.Split(p.String(), "/"), dir) {
			return true
		}
	}
	return false
}

func mayMatchBelow(pattern, dir []string) bool {
	for i := range min(len(pattern), len(dir)) {
		if strings.Contains(pattern[i], "**") {
			return true
		}
		if ok, err := filepath.Match(pattern[i], dir[i]); err == nil && !ok {
			return false
		}
	}
	return true
}
