package imagesource

import (
	"archive/tar"
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"

	archive "github.com/deckhand-engine/deckhand/internal/layer"
)

const (
	maxArchiveEntries = 100_000 // one a blob, four a layer in old archives
	maxDocumentBytes  = 8 << 20 // of a manifest, an index, a config
)

// members are the files of an archive or a directory, by clean relative names.
type members interface {
	// open returns fs.ErrNotExist for what is not there. The caller closes it.
	open(ctx context.Context, name string) (io.ReadCloser, error)
	// has reports whether there is a file of that name.
	has(name string) bool
}

// directory is a directory's files.
type directory string

func (d directory) open(_ context.Context, name string) (io.ReadCloser, error) {
	root, err := os.OpenRoot(string(d))
	if err != nil {
		return nil, err
	}
	defer func() { _ = root.Close() }()                              // the file stays open
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe must not stop us
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no regular file", name)
	}
	if err != nil {
		_ = f.Close() // only opened
		return nil, err
	}
	return f, nil
}

func (d directory) has(name string) bool {
	root, err := os.OpenRoot(string(d))
	if err != nil {
		return false
	}
	defer func() { _ = root.Close() }() // only looked at
	info, err := root.Stat(name)
	return err == nil && info.Mode().IsRegular()
}

// tarFile is a tar's files, which stay where they are. One that is compressed is read from its start for each file.
type tarFile struct {
	path       string
	compressed bool
	files      map[string]section
	links      map[string]string // symbolic and hard links, clean
}

// section is where a file's content lies.
type section struct {
	entry  int   // of the tar, from 0
	offset int64 // of a tar that is not compressed
	size   int64
}

// openTarFile finds out what a tar holds.
func openTarFile(ctx context.Context, name string) (*tarFile, error) {
	f, err := openRegular(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // only read
	head := make([]byte, 6)
	n, err := f.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read archive: %w", err)
	}
	t := &tarFile{
		path: name, compressed: archive.Sniff(head[:n]) != archive.Plain,
		files: make(map[string]section), links: make(map[string]string),
	}
	var r io.Reader = f
	position := func() (int64, error) { return f.Seek(0, io.SeekCurrent) }
	if t.compressed {
		plain, _, err := archive.Decompress(ctx, withContext(ctx, f))
		if err != nil {
			return nil, err
		}
		defer func() { _ = plain.Close() }() // errors came from Read
		r, position = plain, func() (int64, error) { return 0, nil }
	}
	return t, t.index(ctx, r, position)
}

// openRegular refuses what could block or never end.
func openRegular(name string) (*os.File, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file", name)
	}
	return os.Open(name)
}

func (t *tarFile) index(ctx context.Context, r io.Reader, position func() (int64, error)) error {
	tr := tar.NewReader(r)
	for i := 0; ; i++ {
		hdr, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = ctx.Err()
		} else {
			err = archive.ArchiveError(err)
		}
		if err != nil {
			return err
		}
		if i >= maxArchiveEntries {
			return fmt.Errorf("%w of %d entries", archive.ErrTooLarge, maxArchiveEntries)
		}
		at, err := position()
		if err != nil {
			return fmt.Errorf("read archive: %w", err)
		}
		if err := t.add(hdr, section{i, at, hdr.Size}); err != nil {
			return fmt.Errorf("archive entry %q: %w", hdr.Name, err)
		}
	}
}

func (t *tarFile) add(hdr *tar.Header, at section) error {
	name, err := archive.CleanName(hdr.Name)
	if err != nil {
		return err
	}
	target := hdr.Linkname
	switch hdr.Typeflag {
	case tar.TypeReg:
		t.files[name] = at
		return nil
	case tar.TypeSymlink:
		target = path.Join(path.Dir(name), target) //nolint:gosec // checked below, and never opened
	case tar.TypeLink:
	default:
		return nil
	}
	if target, err = archive.CleanName(target); err != nil {
		return fmt.Errorf("link to %q: %w", hdr.Linkname, err)
	}
	t.links[name] = target
	return nil
}

// find follows links inside the archive.
func (t *tarFile) find(name string) (section, bool) {
	name = path.Clean(name)
	for range 16 {
		if at, ok := t.files[name]; ok {
			return at, true
		}
		target, ok := t.links[name]
		if !ok {
			break
		}
		name = target
	}
	return section{}, false
}

func (t *tarFile) has(name string) bool {
	_, ok := t.find(name)
	return ok
}

func (t *tarFile) open(ctx context.Context, name string) (io.ReadCloser, error) {
	at, ok := t.find(name)
	if !ok {
		return nil, &fs.PathError{Op: "find in archive", Path: name, Err: fs.ErrNotExist}
	}
	f, err := openRegular(t.path)
	if err != nil {
		return nil, err
	}
	if !t.compressed {
		return closing{io.NewSectionReader(f, at.offset, at.size), []io.Closer{f}}, nil
	}
	plain, _, err := archive.Decompress(ctx, withContext(ctx, f))
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	out := closing{closers: []io.Closer{plain, f}}
	tr := tar.NewReader(plain)
	for range at.entry + 1 {
		if _, err := tr.Next(); err != nil {
			return nil, errors.Join(archive.ArchiveError(err), out.Close())
		}
	}
	out.Reader = tr
	return out, nil
}

// closing closes what a reader was made from.
type closing struct {
	io.Reader
	closers []io.Closer
}

// Close implements io.Closer.
func (c closing) Close() error {
	var errs []error
	for _, x := range c.closers {
		errs = append(errs, x.Close())
	}
	return errors.Join(errs...)
}

// document reads a small file.
func document(ctx context.Context, m members, name string) ([]byte, error) {
	r, err := m.open(ctx, name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }() // only read
	buffered := bufio.NewReader(withContext(ctx, r))
	data, err := io.ReadAll(io.LimitReader(buffered, maxDocumentBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if len(data) > maxDocumentBytes {
		return nil, fmt.Errorf("read %s: more than %d bytes", name, maxDocumentBytes)
	}
	return data, nil
}

func decode(ctx context.Context, m members, name string, v any) error {
	data, err := document(ctx, m, name)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("parse %s: %w", name, err)
	}
	return nil
}

// cutTag takes PATH[:TAG] apart. A path may have colons; where it could be read in two ways, the longer path counts.
func cutTag(name string) (file, tag string) {
	for i := len(name); i > 0; i = strings.LastIndexByte(name[:i], ':') {
		if _, err := os.Stat(name[:i]); err == nil {
			return name[:i], strings.TrimPrefix(name[i:], ":")
		}
	}
	file, tag, _ = strings.Cut(name, ":") // it is not there, as opening it will tell
	return file, tag
}
