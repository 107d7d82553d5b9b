package cli

import (
	"context"
	"io"
)

// A read from a pipe or a terminal may wait for ever; chunkBytes are read ahead of whoever wants them, so
// that he can stop waiting.
const chunkBytes = 256 << 10

// patient is a reader whose Read returns when the work is given up, though the read below it goes on.
type patient struct {
	done   <-chan struct{}
	chunks chan chunk
	free   chan []byte
	now    chunk
}

type chunk struct {
	buf  []byte // to be given back
	data []byte
	err  error
}

// patiently reads r in a goroutine of its own, which ends with r or with the program.
func patiently(ctx context.Context, r io.Reader) *patient {
	p := &patient{done: ctx.Done(), chunks: make(chan chunk), free: make(chan []byte, 2)}
	p.free <- make([]byte, chunkBytes)
	p.free <- make([]byte, chunkBytes)
	go p.readAhead(r)
	return p
}

func (p *patient) readAhead(r io.Reader) {
	for {
		var buf []byte
		select {
		case buf = <-p.free:
		case <-p.done:
			return
		}
		n, err := r.Read(buf)
		select {
		case p.chunks <- chunk{buf, buf[:n], err}:
		case <-p.done:
			return
		}
		if err != nil {
			return
		}
	}
}

// Read implements io.Reader; context.Canceled once the work is given up.
func (p *patient) Read(b []byte) (int, error) {
	for len(p.now.data) == 0 {
		if p.now.err != nil {
			return 0, p.now.err
		}
		if p.now.buf != nil {
			p.free <- p.now.buf // there is room: two buffers, two places
			p.now.buf = nil
		}
		select {
		case p.now = <-p.chunks:
		case <-p.done:
			return 0, context.Canceled
		}
	}
	n := copy(b, p.now.data)
	p.now.data = p.now.data[n:]
	return n, nil
}
