package layer

import (
	"io"
	"sync"
)

// readAheadBytes is the size of each buffer; readAheadBuffers how many are in flight.
const (
	readAheadBytes   = 256 << 10
	readAheadBuffers = 8
)

// readAhead reads its source in a goroutine of its own, so that decompressing overlaps with unpacking.
type readAhead struct {
	full chan filled
	free chan []byte
	stop chan struct{}
	done chan error // the source's Close
	once sync.Once
	head filled
	rest []byte
	err  error
}

type filled struct {
	buf []byte
	n   int
	err error
}

func newReadAhead(src io.ReadCloser) *readAhead {
	a := &readAhead{
		full: make(chan filled, readAheadBuffers),
		free: make(chan []byte, readAheadBuffers),
		stop: make(chan struct{}),
		done: make(chan error, 1),
	}
	for range readAheadBuffers {
		a.free <- nil // allocated when first used
	}
	go a.fill(src)
	return a
}

func (a *readAhead) fill(src io.ReadCloser) {
	defer func() { a.done <- src.Close() }()
	for {
		var buf []byte
		select {
		case buf = <-a.free:
		case <-a.stop:
			return
		}
		if buf == nil {
			buf = make([]byte, readAheadBytes)
		}
		f := filled{buf: buf}
		f.n, f.err = readFull(src, buf)
		a.full <- f // never blocks: as many slots as buffers
		if f.err != nil {
			return
		}
	}
}

// readFull fills p; unlike io.ReadFull it hands on the reader's own error.
func readFull(r io.Reader, p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		var nn int
		nn, err = r.Read(p[n:])
		n += nn
	}
	return n, err
}

// Read implements io.Reader.
func (a *readAhead) Read(p []byte) (int, error) {
	for len(a.rest) == 0 {
		if a.err != nil {
			return 0, a.err
		}
		if a.head.buf != nil {
			a.free <- a.head.buf
		}
		a.head = <-a.full
		a.rest, a.err = a.head.buf[:a.head.n], a.head.err
	}
	n := copy(p, a.rest)
	a.rest = a.rest[n:]
	return n, nil
}

// Close ends the goroutine and closes the source. It may be called twice.
func (a *readAhead) Close() error {
	var err error
	a.once.Do(func() {
		close(a.stop)
		err = <-a.done
	})
	return err
}
