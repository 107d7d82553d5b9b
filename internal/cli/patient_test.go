package cli

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"testing"
	"testing/iotest"
	"time"
)

func TestPatientReadsEverything(t *testing.T) {
	want := bytes.Repeat([]byte("0123456789abcdef"), 100_000)
	for name, r := range map[string]io.Reader{
		"plain": bytes.NewReader(want), "halves": iotest.HalfReader(bytes.NewReader(want)),
		"data with EOF": iotest.DataErrReader(bytes.NewReader(want)),
	} {
		got, err := io.ReadAll(patiently(t.Context(), r))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes of %d, %v", name, len(got), len(want), err)
		}
	}
	if _, err := io.ReadAll(patiently(t.Context(), iotest.ErrReader(os.ErrPermission))); !errors.Is(err, os.ErrPermission) {
		t.Errorf("the reader's error became %v", err)
	}
}

func TestPatientCanBeGivenUp(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	ctx, cancel := context.WithCancel(t.Context())
	p := patiently(ctx, r)
	time.AfterFunc(50*time.Millisecond, cancel)
	if _, err := p.Read(make([]byte, 10)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
