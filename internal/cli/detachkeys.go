package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// defaultDetachKeys are docker's.
const defaultDetachKeys = "ctrl-p,ctrl-q"

// errDetached ends the input when the keys have been typed.
var errDetached = errors.New("detached")

// parseDetachKeys reads --detach-keys: characters, and ctrl- with one, joined by commas.
func parseDetachKeys(s string) ([]byte, error) {
	if s == "" {
		s = defaultDetachKeys
	}
	var keys []byte
	for key := range strings.SplitSeq(s, ",") {
		c, err := detachKey(key)
		if err != nil {
			return nil, fmt.Errorf("invalid --detach-keys %q: %w", s, err)
		}
		keys = append(keys, c)
	}
	return keys, nil
}

// detachKey is the character that a key sends.
func detachKey(key string) (byte, error) {
	if len(key) == 1 {
		return key[0], nil
	}
	rest, ctrl := strings.CutPrefix(key, "ctrl-")
	if !ctrl || len(rest) != 1 {
		return 0, fmt.Errorf("unknown key %q: a character, or ctrl- and one of a-z @ [ \\ ] ^ _", key)
	}
	c := rest[0]
	switch {
	case c >= 'a' && c <= 'z':
		return c - 'a' + 1, nil
	case c == '@':
		return 0, nil
	case c >= '[' && c <= '_':
		return c - '@', nil
	}
	return 0, fmt.Errorf("unknown key %q: ctrl- goes with one of a-z @ [ \\ ] ^ _", key)
}

// detachReader reads up to the keys. What turns out not to be them is passed on late, but whole.
type detachReader struct {
	from    io.Reader
	keys    []byte
	matched int    // of keys
	ready   []byte // to be passed on
	err     error  // after that
}

// Read fails with errDetached where the keys have been typed.
func (d *detachReader) Read(p []byte) (int, error) {
	for len(d.ready) == 0 {
		if d.err != nil {
			return 0, d.err
		}
		n, err := d.from.Read(p)
		d.err = err
		d.take(p[:n])
		if err != nil && d.err != errDetached { //nolint:errorlint // our own
			d.ready = append(d.ready, d.keys[:d.matched]...)
		}
	}
	n := copy(p, d.ready)
	d.ready = d.ready[n:]
	return n, nil
}

func (d *detachReader) take(typed []byte) {
	for _, c := range typed {
		if c != d.keys[d.matched] {
			d.ready = append(d.ready, d.keys[:d.matched]...)
			d.matched = 0
			if c != d.keys[0] {
				d.ready = append(d.ready, c)
				continue
			}
		}
		if d.matched++; d.matched == len(d.keys) {
			d.err = errDetached
			return
		}
	}
}
