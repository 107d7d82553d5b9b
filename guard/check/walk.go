package check

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/format/gitignore"
)

// walker goes through directories for files that can be checked. What git ignores is left out, and so is .git.
// Symbolic links are not followed.
type walker struct {
	start     string              // where the walk began
	top       []string            // of the work tree (or the walk's root, where there is none), as path components
	candidate func(string) bool   // of names: it may be something to check
	excluded  func(string) bool   // by the policy; a path as the user would type it
	entered   func(string)        // told of every directory
	found     func(string) error  // told of every file
	trouble   func(string, error) // told of what cannot be read
}

// walk goes through dir in lexical order.
func (w *walker) walk(ctx context.Context, dir string) error {
	w.start = dir
	abs, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	top := workTree(abs)
	w.top = components(top)
	var ignored []gitignore.Pattern
	for _, parent := range between(top, abs) {
		ignored = append(ignored, w.patterns(parent)...)
	}
	return w.dir(ctx, dir, components(abs), ignored)
}

// dir goes through one directory: shown is its path as the user would type it, at its absolute path's components.
func (w *walker) dir(ctx context.Context, shown string, at []string, ignored []gitignore.Pattern) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	w.entered(shown)
	entries, ignored := w.entries(shown, at, ignored)
	matcher := gitignore.NewMatcher(ignored)
	for _, e := range entries {
		p, name := append(slices.Clip(at), e.Name()), filepath.Join(shown, e.Name())
		if !w.interesting(e) || matcher.Match(p, e.IsDir()) || w.excluded != nil && w.excluded(name) {
			continue
		}
		var err error
		if e.IsDir() {
			err = w.dir(ctx, name, p, ignored)
		} else {
			err = w.found(name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// entries reads a directory, and adds what it says that git ignores.
func (w *walker) entries(shown string, at []string, ignored []gitignore.Pattern) ([]fs.DirEntry, []gitignore.Pattern) {
	entries, err := os.ReadDir(shown)
	if err != nil {
		if shown == w.start || !errors.Is(err, fs.ErrNotExist) { // else it has gone since the walk met it
			w.trouble(shown, err)
		}
		return nil, nil
	}
	if slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == ".gitignore" || e.Name() == ".git" }) {
		ignored = append(slices.Clip(ignored), w.patterns("/"+filepath.Join(at...))...)
	}
	return entries, ignored
}

// interesting reports whether a walk goes into a directory, or looks into a file.
func (w *walker) interesting(e fs.DirEntry) bool {
	if e.IsDir() {
		return e.Name() != ".git"
	}
	return e.Type().IsRegular() && w.candidate(e.Name())
}

// patterns reads the .gitignore of a directory; that of the work tree's top comes with what .git/info/exclude says.
func (w *walker) patterns(dir string) []gitignore.Pattern {
	domain := components(dir)
	var found []gitignore.Pattern
	for _, name := range []string{".git/info/exclude", ".gitignore"} {
		data, err := readRegular(filepath.Join(dir, name))
		if err != nil {
			if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errNotRegular) && name == ".gitignore" {
				w.trouble(filepath.Join(dir, name), err)
			}
			continue
		}
		for line := range bytes.Lines(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))) {
			if l := strings.TrimRight(string(line), "\r\n"); l != "" && l[0] != '#' {
				found = append(found, gitignore.ParsePattern(l, domain))
			}
		}
	}
	return found
}

// workTree is the nearest directory upwards that has a .git, dir itself where none has.
func workTree(dir string) string {
	for at := dir; ; at = filepath.Dir(at) {
		if _, err := os.Lstat(filepath.Join(at, ".git")); err == nil {
			return at
		}
		if at == filepath.Dir(at) {
			return dir
		}
	}
}

// between lists the directories from top down to dir, dir left out.
func between(top, dir string) []string {
	var dirs []string
	for dir != top && len(dir) > len(top) {
		dir = filepath.Dir(dir)
		dirs = append(dirs, dir)
	}
	slices.Reverse(dirs)
	return dirs
}

// components splits an absolute path.
func components(abs string) []string {
	return strings.FieldsFunc(abs, func(r rune) bool { return r == filepath.Separator })
}
