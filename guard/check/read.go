package check

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// maxTextBytes bounds a text: bundles of manifests have megabytes, not more.
const maxTextBytes = 16 << 20

// readText reads a file. A pipe is read only if the user named it.
func readText(name string, named bool) ([]byte, error) {
	flags := os.O_RDONLY
	if !named {
		flags |= unix.O_NONBLOCK | unix.O_NOFOLLOW // it may have become a pipe or a link since the walk met it
	}
	f, err := os.OpenFile(name, flags, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	switch {
	case !named && !info.Mode().IsRegular():
		return nil, fmt.Errorf("read %s: %w", name, errNotRegular)
	case info.Size() > maxTextBytes:
		return nil, tooLarge(name)
	}
	data, err := readAll(f)
	if errors.Is(err, errTooLarge) {
		err = tooLarge(name)
	}
	return data, err
}

var errTooLarge = fmt.Errorf("more than %d MiB, too large for a text", maxTextBytes>>20)

var errNotRegular = errors.New("no regular file")

func tooLarge(name string) error { return fmt.Errorf("read %s: %w", name, errTooLarge) }

func readAll(in io.Reader) ([]byte, error) {
	var b bytes.Buffer
	if n, err := b.ReadFrom(io.LimitReader(in, maxTextBytes+1)); err != nil {
		return nil, err
	} else if n > maxTextBytes {
		return nil, errTooLarge
	}
	return b.Bytes(), nil
}

// isArchive reports whether a regular file is a tar, or compressed as one often is.
func isArchive(name string) bool {
	f, err := os.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK, 0) // a pipe must not stop us
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }() // it was only read
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return false
	}
	const magicAt = 257 // in a tar's header
	head := make([]byte, magicAt+5)
	n, _ := io.ReadFull(f, head) // what is shorter is no tar
	head = head[:n]
	for _, magic := range []string{"\x1f\x8b", "\x28\xb5\x2f\xfd", "BZh", "\xfd7zXZ\x00"} {
		if bytes.HasPrefix(head, []byte(magic)) {
			return true
		}
	}
	return len(head) == magicAt+5 && string(head[magicAt:]) == "ustar"
}

// readRegular reads a small file, and nothing but a file: a pipe would have the reader wait.
func readRegular(name string) ([]byte, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("read %s: %w", name, errNotRegular)
	}
	return readAll(f)
}
