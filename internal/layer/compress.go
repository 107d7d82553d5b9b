package layer

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Compression is how an archive is compressed.
type Compression int

// The compressions that Decompress recognises by their first bytes.
const (
	Plain Compression = iota
	Gzip
	Zstd
	Bzip2
	Xz
)

// String is the usual name.
func (c Compression) String() string {
	return [...]string{"plain", "gzip", "zstd", "bzip2", "xz"}[c]
}

var magics = [...]struct {
	compression Compression
	magic       string
}{
	{Gzip, "\x1f\x8b"},
	{Zstd, "\x28\xb5\x2f\xfd"},
	{Bzip2, "BZh"},
	{Xz, "\xfd7zXZ\x00"},
}

// maxZstdWindow is what a decoder must be ready to hold in memory, in bytes: zstd --ultra --long=27.
const maxZstdWindow = 128 << 20

// Sniff tells the compression from the first bytes.
func Sniff(head []byte) Compression {
	for _, m := range magics {
		if bytes.HasPrefix(head, []byte(m.magic)) {
			return m.compression
		}
	}
	return Plain
}

// Decompress reads r's first bytes and returns what is inside, decompressed ahead of its reader in another
// goroutine. The caller closes it, which waits until r is not read any more. A damaged or truncated
// stream gives ErrTruncated or ErrMalformed. xz needs the program of that name.
func Decompress(ctx context.Context, r io.Reader) (io.ReadCloser, Compression, error) {
	buffered := bufio.NewReaderSize(r, readAheadBytes)
	head, err := buffered.Peek(6)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, Plain, fmt.Errorf("read archive: %w", err)
	}
	compression := Sniff(head)
	plain, err := decoder(ctx, buffered, compression)
	if err != nil {
		return nil, compression, err
	}
	return newReadAhead(plain), compression, nil
}

func decoder(ctx context.Context, r *bufio.Reader, c Compression) (io.ReadCloser, error) {
	switch c {
	case Gzip:
		z, err := gzip.NewReader(r)
		if err != nil {
			return nil, decodeError(c, err)
		}
		return &decoded{r: z, c: c, close: z.Close}, nil
	case Zstd:
		z, err := zstd.NewReader(r, zstd.WithDecoderMaxWindow(maxZstdWindow), zstd.WithDecoderConcurrency(2))
		if err != nil {
			return nil, decodeError(c, err)
		}
		return &decoded{r: z, c: c, close: func() error { z.Close(); return nil }}, nil
	case Bzip2:
		return &decoded{r: bzip2.NewReader(r), c: c, close: func() error { return nil }}, nil
	case Xz:
		return startXz(ctx, r)
	case Plain:
	}
	return io.NopCloser(r), nil
}

// decoded gives a decoder's errors our names.
type decoded struct {
	r     io.Reader
	c     Compression
	close func() error
}

func (d *decoded) Read(p []byte) (int, error) {
	n, err := d.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = decodeError(d.c, err)
	}
	return n, err
}

func (d *decoded) Close() error { return d.close() }

func decodeError(c Compression, err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return fmt.Errorf("%w (%s)", ErrTruncated, c)
	}
	var syntax bzip2.StructuralError
	switch {
	case errors.Is(err, gzip.ErrHeader), errors.Is(err, gzip.ErrChecksum), c == Zstd, errors.As(err, &syntax),
		strings.Contains(err.Error(), "corrupt"):
		return fmt.Errorf("%w: %s: %w", ErrMalformed, c, err)
	}
	return fmt.Errorf("decompress %s: %w", c, err)
}

// startXz decompresses through the xz program: there is no decoder for it among our dependencies.
func startXz(ctx context.Context, r io.Reader) (io.ReadCloser, error) {
	path, err := exec.LookPath("xz")
	if err != nil {
		return nil, errors.New("this archive is compressed with xz, which needs the program xz: " +
			"install it (apt-get install xz-utils), or decompress the archive yourself")
	}
	ctx, cancel := context.WithCancel(ctx)
	cmd := exec.CommandContext(ctx, path, "--decompress", "--stdout")
	cmd.Stdin = r
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		cancel()
		return nil, fmt.Errorf("start xz: %w", err)
	}
	return &xzReader{out: out, cmd: cmd, stderr: &stderr, cancel: cancel}, nil
}

type xzReader struct {
	out    io.Reader
	cmd    *exec.Cmd
	stderr *bytes.Buffer
	cancel context.CancelFunc
	waited bool
}

// Read reports the program's failure instead of a mere end of file.
func (x *xzReader) Read(p []byte) (int, error) {
	n, err := x.out.Read(p)
	if err == nil || x.waited {
		return n, err
	}
	x.waited = true
	if waitErr := x.cmd.Wait(); waitErr != nil {
		msg := strings.TrimSpace(x.stderr.String())
		if strings.Contains(msg, "Unexpected end") {
			return n, fmt.Errorf("%w (xz)", ErrTruncated)
		}
		return n, fmt.Errorf("%w: xz: %s (%w)", ErrMalformed, msg, waitErr)
	}
	return n, err
}

func (x *xzReader) Close() error {
	x.cancel()
	if !x.waited {
		x.waited = true
		_ = x.cmd.Wait() // ended by us
	}
	return nil
}
