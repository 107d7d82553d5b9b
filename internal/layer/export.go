package layer

import (
	"archive/tar"
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Export writes the layer in dir — overlayfs' whiteouts and opaque marks — as an OCI layer tar to w. The
// same content gives the same bytes: names are sorted, times cut to seconds, user and group names left out.
// Sockets are left out. File capabilities are written in their portable form.
func Export(ctx context.Context, w io.Writer, dir string) error {
	buffered := bufio.NewWriterSize(w, copyBufferBytes)
	x := &exporter{
		dir: dir, tw: tar.NewWriter(buffered), links: make(map[inode]string),
		buf: make([]byte, copyBufferBytes),
	}
	if err := x.root(ctx); err != nil {
		return err
	}
	if err := x.tw.Close(); err != nil {
		return fmt.Errorf("write layer: %w", err)
	}
	if err := buffered.Flush(); err != nil {
		return fmt.Errorf("write layer: %w", err)
	}
	return nil
}

type exporter struct {
	dir   string
	tw    *tar.Writer
	links map[inode]string // the first name of a file with several
	buf   []byte
}

type inode struct{ dev, ino uint64 }

// root writes the root directory's entry only if it is not what everybody unpacks by default, because
// other engines' layers have none.
func (x *exporter) root(ctx context.Context) error {
	var st unix.Stat_t
	if err := unix.Lstat(x.dir, &st); err != nil {
		return fmt.Errorf("export %s: %w", x.dir, err)
	}
	if st.Uid != 0 || st.Gid != 0 || st.Mode&0o7777 != 0o755 {
		if err := x.tw.WriteHeader(x.header(".", &st)); err != nil {
			return fmt.Errorf("write layer: %w", err)
		}
	}
	return x.children(ctx, ".")
}

func (x *exporter) children(ctx context.Context, name string) error {
	entries, err := os.ReadDir(filepath.Join(x.dir, name)) // sorted
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	for _, entry := range entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := x.entry(ctx, path.Join(name, entry.Name())); err != nil {
			return err
		}
	}
	return nil
}

func (x *exporter) entry(ctx context.Context, name string) error {
	full := filepath.Join(x.dir, name)
	var st unix.Stat_t
	if err := unix.Lstat(full, &st); err != nil {
		return fmt.Errorf("export %s: %w", full, err)
	}
	if strings.HasPrefix(path.Base(name), whiteoutPrefix) {
		return fmt.Errorf("export %s: a layer cannot have a file of this name: %s marks deleted files", full, whiteoutPrefix)
	}
	if isWhiteout(&st) {
		return x.mark(path.Join(path.Dir(name), whiteoutPrefix+path.Base(name)))
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFSOCK:
		return nil
	case unix.S_IFDIR:
		return x.directory(ctx, name, &st)
	}
	return x.file(ctx, name, &st)
}

// mark writes an empty file: a whiteout, or an opaque directory's.
func (x *exporter) mark(name string) error {
	hdr := &tar.Header{Typeflag: tar.TypeReg, Name: name, ModTime: time.Unix(0, 0)}
	if err := x.tw.WriteHeader(hdr); err != nil {
		return fmt.Errorf("write layer: %w", err)
	}
	return nil
}

func (x *exporter) directory(ctx context.Context, name string, st *unix.Stat_t) error {
	hdr := x.header(name, st)
	opaque := false
	values, err := readXattrs(filepath.Join(x.dir, name), func(key string) bool { return portable(key) || isOpaqueXattr(key) })
	if err != nil {
		return err
	}
	for key, value := range values {
		if isOpaqueXattr(key) {
			opaque = opaque || string(value) == "y"
			continue
		}
		setPax(hdr, key, value)
	}
	if err := x.tw.WriteHeader(hdr); err != nil {
		return fmt.Errorf("write %s into layer: %w", name, err)
	}
	if opaque {
		if err := x.mark(path.Join(name, whiteoutOpaque)); err != nil {
			return err
		}
	}
	return x.children(ctx, name)
}

func isOpaqueXattr(key string) bool { return key == opaqueXattr(true) || key == opaqueXattr(false) }

func setPax(hdr *tar.Header, key string, value []byte) {
	if hdr.PAXRecords == nil {
		hdr.PAXRecords = make(map[string]string)
	}
	hdr.PAXRecords[paxXattr+key] = string(portableValue(key, value))
}

func (x *exporter) file(ctx context.Context, name string, st *unix.Stat_t) error {
	hdr := x.header(name, st)
	full := filepath.Join(x.dir, name)
	if st.Nlink > 1 {
		id := inode{st.Dev, st.Ino}
		if first, ok := x.links[id]; ok {
			hdr.Typeflag, hdr.Linkname, hdr.Size = tar.TypeLink, first, 0
			return x.plain(hdr)
		}
		x.links[id] = name
	}
	values, err := readXattrs(full, portable)
	if err != nil {
		return err
	}
	for key, value := range values {
		setPax(hdr, key, value)
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		return x.regular(ctx, full, hdr)
	case unix.S_IFLNK:
		if hdr.Linkname, err = os.Readlink(full); err != nil {
			return fmt.Errorf("export: %w", err)
		}
	}
	return x.plain(hdr)
}

func (x *exporter) plain(hdr *tar.Header) error {
	if err := x.tw.WriteHeader(hdr); err != nil {
		return fmt.Errorf("write %s into layer: %w", hdr.Name, err)
	}
	return nil
}

func (x *exporter) regular(ctx context.Context, full string, hdr *tar.Header) error {
	f, err := os.OpenFile(full, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	defer func() { _ = f.Close() }() // only read
	if err := x.plain(hdr); err != nil {
		return err
	}
	for left := hdr.Size; left > 0; {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := f.Read(x.buf[:min(left, int64(len(x.buf)))])
		if err != nil {
			if errors.Is(err, io.EOF) {
				return fmt.Errorf("export %s: it shrank while being read", full)
			}
			return fmt.Errorf("export: %w", err)
		}
		if _, err := x.tw.Write(x.buf[:n]); err != nil {
			return fmt.Errorf("write %s into layer: %w", hdr.Name, err)
		}
		left -= int64(n)
	}
	return nil
}

func (x *exporter) header(name string, st *unix.Stat_t) *tar.Header {
	hdr := &tar.Header{
		Name: name, Mode: int64(st.Mode & 0o7777), Uid: int(st.Uid), Gid: int(st.Gid),
		ModTime: time.Unix(st.Mtim.Sec, 0),
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		hdr.Typeflag, hdr.Size = tar.TypeReg, st.Size
	case unix.S_IFDIR:
		hdr.Typeflag, hdr.Name = tar.TypeDir, name+"/"
	case unix.S_IFLNK:
		hdr.Typeflag = tar.TypeSymlink
	case unix.S_IFIFO:
		hdr.Typeflag = tar.TypeFifo
	case unix.S_IFCHR, unix.S_IFBLK:
		hdr.Typeflag = tar.TypeChar
		if st.Mode&unix.S_IFMT == unix.S_IFBLK {
			hdr.Typeflag = tar.TypeBlock
		}
		hdr.Devmajor, hdr.Devminor = int64(unix.Major(st.Rdev)), int64(unix.Minor(st.Rdev))
	}
	return hdr
}
