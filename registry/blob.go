package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// stallTime is how long a transfer may go without a byte before it is taken up again.
const stallTime = 60 * time.Second

var errStalled = errors.New("the transfer stalled")

// download is the body of a blob. Where the connection breaks it goes on from the byte it has reached.
type download struct {
	ctx    context.Context //nolint:containedctx // a reader's life is one transfer; its context ends the requests made by Read
	s      *session
	desc   v1.Descriptor
	prog   Progress
	body   io.ReadCloser
	offset int64
	broken int // how often in a row the connection broke without a byte
}

func (s *session) download(ctx context.Context, d v1.Descriptor, p Progress) (*download, error) {
	dl := &download{ctx: ctx, s: s, desc: d, prog: p}
	if err := dl.connect(ctx); err != nil {
		return nil, err
	}
	return dl, nil
}

// connect asks for the blob from offset on.
func (d *download) connect(ctx context.Context) error {
	req := d.s.get(ctx, "blobs", d.desc.Digest.String())
	if d.offset > 0 {
		req.Header.Set("Range", "bytes="+strconv.FormatInt(d.offset, 10)+"-")
	}
	resp, err := d.s.do(req)
	if err != nil {
		return fmt.Errorf("get blob: %w", err)
	}
	if err := d.accept(resp); err != nil {
		_ = resp.Body.Close() // nothing was read from it
		return err
	}
	d.body = resp.Body
	return nil
}

// accept checks the answer's status and length, and skips what a server that knows no ranges sends again.
func (d *download) accept(resp *http.Response) error {
	if err := transport.CheckError(resp, http.StatusOK, http.StatusPartialContent); err != nil {
		return err
	}
	from := int64(0)
	if resp.StatusCode == http.StatusPartialContent {
		from = d.offset
		want := "bytes " + strconv.FormatInt(d.offset, 10) + "-"
		if cr := resp.Header.Get("Content-Range"); cr != "" && !strings.HasPrefix(cr, want) {
			return fmt.Errorf("get blob %s: the registry sent range %q, wanted %q", d.desc.Digest, cr, want)
		}
	}
	if n := resp.ContentLength; n >= 0 && from+n != d.desc.Size {
		return fmt.Errorf("get blob %s: the registry has %d bytes, the manifest says %d", d.desc.Digest, from+n, d.desc.Size)
	}
	if skip := d.offset - from; skip > 0 {
		if _, err := io.CopyN(io.Discard, resp.Body, skip); err != nil {
			return fmt.Errorf("get blob again: %w", err)
		}
	}
	return nil
}

// Read implements io.Reader. It never returns more than the descriptor's size.
func (d *download) Read(b []byte) (int, error) {
	left := d.desc.Size - d.offset
	if left <= 0 {
		d.drain()
		return 0, io.EOF
	}
	if int64(len(b)) > left {
		b = b[:left]
	}
	for {
		n, err := d.body.Read(b)
		d.offset += int64(n)
		if n > 0 {
			d.broken = 0
			d.prog.Blob(d.desc, d.offset, StatePulling)
			return n, nil
		}
		if err == nil {
			continue
		}
		if err = d.resume(err); err != nil {
			return 0, err
		}
	}
}

// resume connects again after a broken transfer, unless that has been in vain too often.
func (d *download) resume(cause error) error {
	if d.ctx.Err() != nil {
		return d.ctx.Err()
	}
	if errors.Is(cause, io.EOF) {
		cause = io.ErrUnexpectedEOF
	}
	d.broken++
	if d.broken >= tries {
		return fmt.Errorf("get blob %s: broke off at byte %d of %d: %w", d.desc.Digest, d.offset, d.desc.Size, cause)
	}
	d.release()
	d.prog.Blob(d.desc, d.offset, StateRetry)
	pause := d.s.pause
	for range d.broken - 1 {
		pause *= 3
	}
	if err := sleep(d.ctx, pause); err != nil {
		return err
	}
	return d.connect(d.ctx)
}

// drain reads the end of the body, without which the connection could not be used again.
func (d *download) drain() {
	if d.body != nil {
		var more [1]byte
		_, _ = d.body.Read(more[:]) // what comes beyond the size is not wanted
	}
}

func (d *download) release() {
	if d.body != nil {
		_ = d.body.Close() // the transfer is over, whatever Close says
		d.body = nil
	}
}

// Close ends the transfer.
func (d *download) Close() error {
	d.release()
	return nil
}
