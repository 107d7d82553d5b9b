package imagesource

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// TestLayoutOfPipes: nobody writes to them, and nobody must wait for them.
func TestLayoutOfPipes(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(dir, v1.ImageIndexFile), 0o600); err != nil {
		t.Fatal(err)
	}
	if img, err := New(Options{}).Image(t.Context(), "oci:"+dir); err == nil || !strings.Contains(err.Error(), "is no regular file") {
		t.Errorf("got %v, %v", img, err)
	}
}
