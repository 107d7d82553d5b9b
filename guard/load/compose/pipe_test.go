package compose_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/load/compose"
)

// TestPipes names pipes that nobody writes to where compose expects files: they are refused, and not waited for.
func TestPipes(t *testing.T) {
	const services = "services:\n  web:\n    image: a\n"
	tests := map[string]struct {
		files map[string]string
		pipe  string
	}{
		"include":            {map[string]string{"compose.yaml": "include: [more.yaml]\n"}, "more.yaml"},
		"include of include": {map[string]string{"compose.yaml": "include: [sub/more.yaml]\n", "sub/more.yaml": "include: [less.yaml]\n"}, "sub/less.yaml"},
		"extends":            {map[string]string{"compose.yaml": "services:\n  web:\n    extends: {file: base.yaml, service: web}\n"}, "base.yaml"},
		"beside an include":  {map[string]string{"compose.yaml": "include: [sub/more.yaml]\n", "sub/more.yaml": services}, "sub/.env"},
		"beside the file":    {map[string]string{"compose.yaml": services}, ".env"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for file, text := range tt.files {
				file = filepath.Join(dir, file)
				if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := syscall.Mkfifo(filepath.Join(dir, tt.pipe), 0o600); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(dir, "compose.yaml")
			ended := make(chan error, 1)
			go func() {
				_, err := compose.Load(t.Context(), guard.Source{Path: file, File: file, Data: []byte(tt.files["compose.yaml"])}, guard.Env{})
				ended <- err
			}()
			select {
			case err := <-ended:
				if err == nil || !strings.Contains(err.Error(), tt.pipe+" is no file") {
					t.Errorf("Load: %v", err)
				}
			case <-time.After(10 * time.Second):
				t.Error("it waits for the pipe")
			}
		})
	}
}
